#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace assay::study {

/// How a cell ended: a status of the store and one line of reason.
struct Outcome {
  std::string status;
  std::string reason;
};

/// Processes of this process's cgroup that the kernel's out-of-memory killer has ended so far:
/// version 2 (memory.events), version 1 (memory.oom_control), and where neither is readable the
/// machine's
/// (/proc/vmstat). -1 where nothing counts them. `root` stands before every path read, for tests.
[[nodiscard]] std::int64_t oom_kills(const std::filesystem::path& root = "/");

/// Size of the model's weights file; -1 where it cannot be told.
[[nodiscard]] std::int64_t weights_size(const std::string& model);

/// What was known before the child started.
struct BeforeStart {
  std::string model;
  std::int64_t oom_kills = -1;
  std::int64_t weights_size = -1;
};

/// Of a child that ended with this status of waitpid before its end record. `last_words` is the
/// last line that it wrote to standard error.
[[nodiscard]] Outcome classify_exit(int wait_status, const BeforeStart& before,
                                    std::int64_t oom_kills_now, const std::string& last_words);

}  // namespace assay::study
