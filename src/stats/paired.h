#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stats/samples.h"

namespace assay::stats {

/// Two-sided exact McNemar test: the probability, if both are equally likely to be the only one
/// that is right, of a split at least as uneven as `only_first` against `only_second`
/// (2 x binomial tail at 1/2, at most 1).
[[nodiscard]] double mcnemar_exact(std::int64_t only_first, std::int64_t only_second);

/// Holm's step-down correction: p-values that may each be held against the level of the whole
/// family, in the order given; never above 1. Values outside [0, 1] are an internal error.
[[nodiscard]] std::vector<double> holm(std::span<const double> p_values);

/// Percentile bootstrap of the mean; over differences of paired items it is the paired bootstrap.
/// Seeded. At least one sample.
[[nodiscard]] Interval bootstrap_mean_interval(std::span<const double> samples, double confidence,
                                               int resamples, std::uint64_t seed);

/// Percentile bootstrap of sum(values) / sum(weights), drawn in pairs: items that stand for several
/// tokens each. Spans of equal length, weights above 0.
[[nodiscard]] Interval bootstrap_ratio_interval(std::span<const double> values,
                                                std::span<const double> weights, double confidence,
                                                int resamples, std::uint64_t seed);

/// The smallest difference of two proportions on the same `items` that McNemar's test at level
/// `alpha` (two-sided) sees with probability `power`, if a share `discordant` of the items is
/// answered differently. Solves sqrt(n) d = z_a sqrt(s) + z_b sqrt(s - d^2) for d (Connor 1987,
/// "Sample size for testing differences in proportions for the paired-sample design"); where d
/// would exceed s, all of s is d. At most 1.
[[nodiscard]] double smallest_detectable_difference(std::int64_t items, double discordant,
                                                    double alpha = 0.05, double power = 0.8);

/// Fewest items that show `difference` in (0, 1), by the same formula; a multiple of ten.
[[nodiscard]] std::int64_t items_needed(double difference, double discordant, double alpha = 0.05,
                                        double power = 0.8);

/// Pearson's correlation; 0 where a side does not vary. Spans of equal length, at least one pair.
[[nodiscard]] double correlation(std::span<const double> a, std::span<const double> b);

}  // namespace assay::stats
