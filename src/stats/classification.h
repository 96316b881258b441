#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace assay::stats {

/// Precision, recall and F1 averaged over classes.
struct ClassAverages {
  double precision = 0.0;
  double recall = 0.0;
  double f1 = 0.0;
};

/// Counts of (expected, predicted) pairs of classes. A ratio whose denominator is 0 is 0, as in
/// scikit-learn.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes);
  /// Spans of equal length; a class outside [0, classes) is an internal error.
  ConfusionMatrix(std::span<const int> expected, std::span<const int> predicted, int classes);

  void add(int expected, int predicted);

  [[nodiscard]] int classes() const noexcept { return classes_; }
  [[nodiscard]] std::int64_t count(int expected, int predicted) const;
  [[nodiscard]] std::int64_t total() const noexcept;
  [[nodiscard]] std::int64_t correct() const;

  [[nodiscard]] double accuracy() const;
  /// Of those predicted to be `positive`, the share that is.
  [[nodiscard]] double precision(int positive = 1) const;
  /// Of those that are `positive`, the share that was found.
  [[nodiscard]] double recall(int positive = 1) const;
  /// Harmonic mean of precision and recall.
  [[nodiscard]] double f1(int positive = 1) const;
  /// Every class the same weight; classes that are neither expected nor predicted have no part, as
  /// in scikit-learn.
  [[nodiscard]] ClassAverages macro() const;
  /// Every class by how often it is expected.
  [[nodiscard]] ClassAverages weighted() const;

 private:
  [[nodiscard]] std::int64_t expected_count(int c) const;
  [[nodiscard]] std::int64_t predicted_count(int c) const;
  void check(int c) const;
  [[nodiscard]] ClassAverages averages(const std::vector<double>& weights) const;
  [[nodiscard]] std::size_t index(int expected, int predicted) const;

  int classes_;
  std::vector<std::int64_t> counts_;
};

}  // namespace assay::stats
