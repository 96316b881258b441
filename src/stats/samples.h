#pragma once

#include <cstdint>
#include <span>

namespace assay::stats {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

// All take at least one sample; an empty span is an internal error.

[[nodiscard]] double mean(std::span<const double> samples);
/// With n - 1; 0 for a single sample.
[[nodiscard]] double stdev(std::span<const double> samples);
/// stdev / sqrt(n).
[[nodiscard]] double standard_error(std::span<const double> samples);
/// Linear interpolation between order statistics (numpy's default); `percent` in [0, 100].
[[nodiscard]] double percentile(std::span<const double> samples, double percent);
[[nodiscard]] double median(std::span<const double> samples);
/// Percentile bootstrap of the median; seeded, so that a report is reproducible.
[[nodiscard]] Interval bootstrap_median_interval(std::span<const double> samples, double confidence,
                                                 int resamples, std::uint64_t seed);
/// Wilson score interval of a proportion.
[[nodiscard]] Interval wilson_interval(std::int64_t successes, std::int64_t trials,
                                       double confidence = 0.95);

}  // namespace assay::stats
