#include "study/failure.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "files/tensor_file.h"

namespace assay::study {
namespace {

namespace fs = std::filesystem;

/// Value behind `field` in a file of "name value" lines; -1 if it is not there.
std::int64_t counter(const fs::path& file, const std::string& field) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t value = -1;
    if (words >> name >> value && name == field) return value;
  }
  return -1;
}

/// Path of this process's group in a hierarchy: "0::PATH" of version 2 (empty `controller`), or
/// "N:memory:PATH" of version 1.
std::string own_group(const fs::path& root, const std::string& controller) {
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) != controller) continue;
    const auto begin = line.find_first_not_of('/', second + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

Outcome killed(int number, const BeforeStart& before, std::int64_t oom_kills_now) {
  if (number == SIGKILL && before.oom_kills >= 0 && oom_kills_now > before.oom_kills) {
    return {"oom", "the kernel's out-of-memory killer ended it (SIGKILL, and its counter rose)"};
  }
  if (number == SIGKILL) return {"failed", "it was killed from outside (SIGKILL)"};
  if (number != SIGBUS) return {"failed", "it crashed (" + signal_name(number) + ")"};
  const std::int64_t size = weights_size(before.model);
  if (size >= 0 && before.weights_size >= 0 && size < before.weights_size) {
    return {"failed", fmt::format("SIGBUS: {} shrank from {} to {} bytes while it was read",
                                  before.model, before.weights_size, size)};
  }
  return {"failed", fmt::format("SIGBUS: a mapped file could not be read; check {} and its disk",
                                before.model)};
}

}  // namespace

std::int64_t oom_kills(const fs::path& root) {
  const fs::path groups = root / "sys/fs/cgroup";
  for (const fs::path& file : {groups / own_group(root, "") / "memory.events",
                               groups / "memory" / own_group(root, "memory") / "memory.oom_control",
                               root / "proc/vmstat"}) {
    if (const std::int64_t count = counter(file, "oom_kill"); count >= 0) return count;
  }
  return -1;
}

std::int64_t weights_size(const std::string& model) {
  try {
    const files::ModelFiles files = files::locate_model(model);
    std::uintmax_t size = fs::file_size(files.weights);
    for (const fs::path& shard : files.shards) size += fs::file_size(shard);
    return static_cast<std::int64_t>(size);
  } catch (const Error&) {
    return -1;
  } catch (const fs::filesystem_error&) {
    return -1;
  }
}

Outcome classify_exit(int wait_status, const BeforeStart& before, std::int64_t oom_kills_now,
                      const std::string& last_words) {
  Outcome outcome;
  if (WIFSIGNALED(wait_status)) {
    outcome = killed(WTERMSIG(wait_status), before, oom_kills_now);
  } else {
    outcome = {"failed",
               fmt::format("its process ended with exit code {}", WEXITSTATUS(wait_status))};
  }
  if (!last_words.empty()) outcome.reason += "; its last words: " + last_words;
  return outcome;
}

}  // namespace assay::study
