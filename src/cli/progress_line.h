#pragma once

#include <chrono>
#include <string>

namespace assay::cli {

/// Progress on standard error: one line redrawn in place on a terminal, plain lines elsewhere (one
/// per change of stage). Silent when quiet.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// `fraction` in [0, 1], or 0 when unknown.
  void update(const std::string& what, const std::string& stage, double fraction);
  /// A line that stays.
  void note(const std::string& line);
  /// Rest of the estimate shown behind the stage; empty = none.
  void set_estimate(const std::string& text) { estimate_ = text; }

 private:
  void erase();
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::string last_;
  std::string estimate_;
  std::chrono::steady_clock::time_point drawn_at_{};
};

}  // namespace assay::cli
