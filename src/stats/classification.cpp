#include "stats/classification.h"

#include <numeric>

#include "base/error.h"

namespace assay::stats {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes) : classes_(classes) {
  if (classes < 1) fail(ErrorCode::internal, "a confusion matrix of {} classes", classes);
  counts_.resize(static_cast<std::size_t>(classes) * static_cast<std::size_t>(classes));
}

ConfusionMatrix::ConfusionMatrix(std::span<const int> expected, std::span<const int> predicted,
                                 int classes)
    : ConfusionMatrix(classes) {
  if (expected.size() != predicted.size()) {
    fail(ErrorCode::internal, "{} labels but {} predictions", expected.size(), predicted.size());
  }
  for (std::size_t i = 0; i < expected.size(); ++i) add(expected[i], predicted[i]);
}

void ConfusionMatrix::check(int c) const {
  if (c < 0 || c >= classes_) fail(ErrorCode::internal, "class {} of {}", c, classes_);
}

std::size_t ConfusionMatrix::index(int expected, int predicted) const {
  return static_cast<std::size_t>(expected) * static_cast<std::size_t>(classes_) +
         static_cast<std::size_t>(predicted);
}

void ConfusionMatrix::add(int expected, int predicted) {
  check(expected);
  check(predicted);
  ++counts_[index(expected, predicted)];
}

std::int64_t ConfusionMatrix::count(int expected, int predicted) const {
  check(expected);
  check(predicted);
  return counts_[index(expected, predicted)];
}

std::int64_t ConfusionMatrix::total() const noexcept {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::int64_t ConfusionMatrix::correct() const {
  std::int64_t sum = 0;
  for (int c = 0; c < classes_; ++c) sum += count(c, c);
  return sum;
}

std::int64_t ConfusionMatrix::expected_count(int c) const {
  std::int64_t sum = 0;
  for (int other = 0; other < classes_; ++other) sum += count(c, other);
  return sum;
}

std::int64_t ConfusionMatrix::predicted_count(int c) const {
  std::int64_t sum = 0;
  for (int other = 0; other < classes_; ++other) sum += count(other, c);
  return sum;
}

double ConfusionMatrix::accuracy() const { return ratio(correct(), total()); }

double ConfusionMatrix::precision(int positive) const {
  return ratio(count(positive, positive), predicted_count(positive));
}

double ConfusionMatrix::recall(int positive) const {
  return ratio(count(positive, positive), expected_count(positive));
}

double ConfusionMatrix::f1(int positive) const {
  return ratio(2 * count(positive, positive), predicted_count(positive) + expected_count(positive));
}

ClassAverages ConfusionMatrix::averages(const std::vector<double>& weights) const {
  ClassAverages sum;
  double total = 0.0;
  for (int c = 0; c < classes_; ++c) {
    const double weight = weights[static_cast<std::size_t>(c)];
    sum.precision += weight * precision(c);
    sum.recall += weight * recall(c);
    sum.f1 += weight * f1(c);
    total += weight;
  }
  if (total == 0.0) return {};
  return {sum.precision / total, sum.recall / total, sum.f1 / total};
}

ClassAverages ConfusionMatrix::macro() const {
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(classes_));
  for (int c = 0; c < classes_; ++c) {
    weights.push_back(expected_count(c) + predicted_count(c) > 0 ? 1.0 : 0.0);
  }
  return averages(weights);
}

ClassAverages ConfusionMatrix::weighted() const {
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(classes_));
  for (int c = 0; c < classes_; ++c) weights.push_back(static_cast<double>(expected_count(c)));
  return averages(weights);
}

}  // namespace assay::stats
