#pragma once

#include <functional>
#include <string>

namespace assay::base {

/// Where long work reports to: stage text and completed fraction in [0, 1]. Plain data flows to
/// whoever draws it (the terminal, or a pipe to the parent process). May be empty.
using ProgressSink = std::function<void(const std::string& stage, double fraction)>;

/// True once SIGINT or SIGTERM has arrived (see cli/). Long loops ask between steps.
[[nodiscard]] bool interrupted() noexcept;
/// Throws Error(interrupted) when interrupted() is true.
void check_interrupted();
/// Called by the signal handler; async-signal-safe.
void request_interrupt(int signal) noexcept;

}  // namespace assay::base
