#include "study/runner_identity.h"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace assay::study {
namespace {

constexpr double kUnseenRunnerSeconds = 24 * 3600.0;

/// Field 22 of /proc/PID/stat; -1 when there is no such process. The second field, the command's
/// name in parentheses, may hold anything, so counting starts after its last parenthesis.
std::int64_t start_time(std::int64_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(in, text, '\0');
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(text.substr(name_end + 1));
  char state = 0;
  fields >> state;
  std::int64_t value = -1;
  for (int field = 4; field <= 22; ++field) fields >> value;
  return fields && state != 'Z' ? value : -1;
}

std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(in, id);
  return id;
}

std::string process_namespace() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
}

}  // namespace

RunnerIdentity this_runner() {
  const auto pid = static_cast<std::int64_t>(::getpid());
  return {.pid = pid, .start = start_time(pid), .place = boot_id() + " " + process_namespace()};
}

bool is_alive(const RunnerIdentity& runner, double claim_age_seconds) {
  if (!runner.place.starts_with(boot_id())) return false;
  if (!runner.place.ends_with(process_namespace())) {
    return claim_age_seconds < kUnseenRunnerSeconds;
  }
  return start_time(runner.pid) == runner.start;
}

}  // namespace assay::study
