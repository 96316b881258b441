#include "stats/paired.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "stats/normal.h"

namespace assay::stats {
namespace {

/// ln of the binomial coefficient.
double log_choose(std::int64_t n, std::int64_t k) {
  const auto ln_factorial = [](std::int64_t x) { return std::lgamma(static_cast<double>(x) + 1); };
  return ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
}

Interval central(std::vector<double>& values, double confidence) {
  const double tail = 50.0 * (1.0 - confidence);
  return {percentile(values, tail), percentile(values, 100.0 - tail)};
}

void check_bootstrap(std::size_t samples, double confidence, int resamples) {
  if (samples == 0 || resamples < 1 || !(confidence > 0.0 && confidence < 1.0)) {
    fail(ErrorCode::internal, "an interval of {} with {} resamples of {} samples", confidence,
         resamples, samples);
  }
}

/// Root of f, which falls from above 0 at `low` to below 0 at `high`.
template <typename F>
double root(double low, double high, const F& f) {
  while (true) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) return middle;
    (f(middle) > 0 ? low : high) = middle;
  }
}

}  // namespace

double mcnemar_exact(std::int64_t only_first, std::int64_t only_second) {
  if (only_first < 0 || only_second < 0) {
    fail(ErrorCode::internal, "{} and {} discordant pairs", only_first, only_second);
  }
  const std::int64_t n = only_first + only_second;
  const std::int64_t least = std::min(only_first, only_second);
  double tail = 0.0;
  for (std::int64_t k = 0; k <= least; ++k) {
    tail += std::exp(log_choose(n, k) - static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2.0 * tail);
}

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0.0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const double p = p_values[order[rank]];
    if (!(p >= 0.0 && p <= 1.0)) fail(ErrorCode::internal, "{} is no p-value", p);
    largest = std::max(largest, std::min(1.0, p * static_cast<double>(order.size() - rank)));
    adjusted[order[rank]] = largest;
  }
  return adjusted;
}

Interval bootstrap_mean_interval(std::span<const double> samples, double confidence, int resamples,
                                 std::uint64_t seed) {
  const std::vector<double> ones(samples.size(), 1.0);
  return bootstrap_ratio_interval(samples, ones, confidence, resamples, seed);
}

Interval bootstrap_ratio_interval(std::span<const double> values, std::span<const double> weights,
                                  double confidence, int resamples, std::uint64_t seed) {
  check_bootstrap(values.size(), confidence, resamples);
  if (values.size() != weights.size()) {
    fail(ErrorCode::internal, "{} values but {} weights", values.size(), weights.size());
  }
  base::Random random(seed);
  std::vector<double> ratios(static_cast<std::size_t>(resamples));
  for (double& ratio : ratios) {
    double sum = 0.0;
    double weight = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t drawn = random.below(values.size());
      sum += values[drawn];
      weight += weights[drawn];
    }
    ratio = sum / weight;
  }
  return central(ratios, confidence);
}

double smallest_detectable_difference(std::int64_t items, double discordant, double alpha,
                                      double power) {
  if (items < 1 || !(discordant >= 0.0 && discordant <= 1.0)) {
    fail(ErrorCode::internal, "{} items of which a share of {} differs", items, discordant);
  }
  const double n = static_cast<double>(items);
  const double z_alpha = normal_quantile(1.0 - alpha / 2.0);
  const double z_beta = normal_quantile(power);
  const auto lacking = [&](double difference, double share) {
    return z_alpha * std::sqrt(share) +
           z_beta * std::sqrt(std::max(0.0, share - difference * difference)) -
           std::sqrt(n) * difference;
  };
  if (lacking(discordant, discordant) <= 0) {
    return root(0.0, discordant, [&](double d) { return lacking(d, discordant); });
  }
  if (lacking(1.0, 1.0) > 0) return 1.0;
  return root(0.0, 1.0, [&](double d) { return lacking(d, d); });
}

std::int64_t items_needed(double difference, double discordant, double alpha, double power) {
  if (!(difference > 0.0 && difference < 1.0)) {
    fail(ErrorCode::internal, "items for a difference of {}", difference);
  }
  std::int64_t high = 10;
  while (smallest_detectable_difference(high, discordant, alpha, power) > difference) high *= 2;
  std::int64_t low = high / 2;
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    const bool enough =
        smallest_detectable_difference(middle, discordant, alpha, power) <= difference;
    (enough ? high : low) = middle;
  }
  return (high + 9) / 10 * 10;
}

double correlation(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) {
    fail(ErrorCode::internal, "{} values cannot be paired with {}", a.size(), b.size());
  }
  const double mean_a = mean(a);
  const double mean_b = mean(b);
  double ab = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0.0 && bb > 0.0 ? ab / std::sqrt(aa * bb) : 0.0;
}

}  // namespace assay::stats
