#pragma once

#include <cstdint>
#include <vector>

#include "tasks/task.h"

namespace assay::tasks {

/// {"value", "unit"}.
[[nodiscard]] Json metric(double value, const std::string& unit);

/// Share of right answers with its Wilson interval (95 %), lm-eval's standard error (deviation with
/// n - 1, over sqrt(n)), the number of items, and what guessing gives.
[[nodiscard]] Json accuracy_metric(std::int64_t correct, std::int64_t items, double chance);

/// The same under `name`, and its standard error as a metric of its own under lm-eval's name,
/// "acc_stderr".
void add_accuracy(Json& metrics, const std::string& name, std::int64_t correct, std::int64_t items,
                  double chance);

/// Mean with standard error.
[[nodiscard]] Json mean_metric(std::span<const double> samples, const std::string& unit);

/// Answers as they come, in any order, each with its index "i". Begins with those that an earlier,
/// interrupted run left (TaskOptions::resume) and hands new ones on (TaskOptions::items).
class ItemLog {
 public:
  ItemLog(std::size_t count, const TaskOptions& options);
  /// By item; empty if none is.
  [[nodiscard]] const std::vector<bool>& done() const { return done_; }
  /// Whether all of [begin, end) are.
  [[nodiscard]] bool is_done(std::size_t begin, std::size_t end) const;
  /// An answer to an item that is done already changes nothing.
  void add(Json answer);
  /// Hands on what was added since; call it where a batch ends.
  void flush();
  /// All answers in order of their index; internal error if one is missing.
  [[nodiscard]] Json take();
  void add_notes(Json& notes) const;
  /// How many were answered now.
  [[nodiscard]] std::size_t answered() const { return answers_.size() - resumed_; }

 private:
  std::vector<Json> answers_;
  std::vector<bool> done_;
  Json fresh_ = Json::array();  ///< not handed on yet
  std::size_t resumed_ = 0;
  const TaskOptions& options_;
};

}  // namespace assay::tasks
