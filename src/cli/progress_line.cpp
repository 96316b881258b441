#include "cli/progress_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

namespace assay::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);

}  // namespace

ProgressLine::ProgressLine(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { erase(); }

void ProgressLine::erase() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  drawn_ = false;
}

void ProgressLine::update(const std::string& what, const std::string& stage, double fraction) {
  if (quiet_) return;
  const std::string heading = what + ": " + stage;
  if (!terminal_) {
    if (heading == last_) return;
    last_ = heading;
    fmt::print(stderr, "  {}{}\n", heading, estimate_);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (heading == last_ && now - drawn_at_ < kRedraw) return;
  last_ = heading;
  drawn_at_ = now;
  const std::string percent = fraction > 0.0 ? fmt::format(" {:.0f} %", 100 * fraction) : "";
  fmt::print(stderr, "\r\033[K  {}{}{}", heading, percent, estimate_);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressLine::note(const std::string& line) {
  if (quiet_) return;
  erase();
  fmt::print(stderr, "{}\n", line);
}

}  // namespace assay::cli
