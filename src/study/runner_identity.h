#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace assay::study {

/// A process as a claim names it. A process id alone is used again by others, so its start time
/// (clock ticks since boot) and the boot and process namespace it was seen in belong to it.
struct RunnerIdentity {
  std::int64_t pid = 0;
  std::int64_t start = 0;
  std::string place;
};

[[nodiscard]] RunnerIdentity this_runner();

/// Whether the process still runs. One of an earlier boot does not. One of another process
/// namespace (a container) cannot be seen: it counts as alive for a day after its claim.
[[nodiscard]] bool is_alive(const RunnerIdentity& runner, double claim_age_seconds);

}  // namespace assay::study
