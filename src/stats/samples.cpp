#include "stats/samples.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "stats/normal.h"

namespace assay::stats {
namespace {

void require_samples(std::span<const double> samples, const char* what) {
  if (samples.empty()) fail(ErrorCode::internal, "the {} of no samples was asked for", what);
}

double percentile_of_sorted(std::span<const double> sorted, double percent) {
  const double place = percent / 100.0 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - std::floor(place));
}

/// Reorders `values`.
double median_of(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(values.begin(), middle), *middle);
}

}  // namespace

double mean(std::span<const double> samples) {
  require_samples(samples, "mean");
  const double total = std::accumulate(samples.begin(), samples.end(), 0.0);
  return total / static_cast<double>(samples.size());
}

double stdev(std::span<const double> samples) {
  const double center = mean(samples);
  if (samples.size() == 1) return 0.0;
  double squares = 0.0;
  for (const double x : samples) squares += (x - center) * (x - center);
  return std::sqrt(squares / static_cast<double>(samples.size() - 1));
}

double standard_error(std::span<const double> samples) {
  return stdev(samples) / std::sqrt(static_cast<double>(samples.size()));
}

double percentile(std::span<const double> samples, double percent) {
  require_samples(samples, "percentile");
  if (!(percent >= 0.0 && percent <= 100.0)) {
    fail(ErrorCode::internal, "percentile {} is outside 0 to 100", percent);
  }
  std::vector<double> sorted(samples.begin(), samples.end());
  std::ranges::sort(sorted);
  return percentile_of_sorted(sorted, percent);
}

double median(std::span<const double> samples) {
  require_samples(samples, "median");
  std::vector<double> values(samples.begin(), samples.end());
  return median_of(values);
}

Interval bootstrap_median_interval(std::span<const double> samples, double confidence,
                                   int resamples, std::uint64_t seed) {
  require_samples(samples, "interval");
  if (resamples < 1 || !(confidence > 0.0 && confidence < 1.0)) {
    fail(ErrorCode::internal, "an interval of {} with {} resamples does not exist", confidence,
         resamples);
  }
  base::Random random(seed);
  std::vector<double> medians(static_cast<std::size_t>(resamples));
  std::vector<double> drawn(samples.size());
  for (double& value : medians) {
    for (double& x : drawn) x = samples[random.below(samples.size())];
    value = median_of(drawn);
  }
  std::ranges::sort(medians);
  const double tail = 50.0 * (1.0 - confidence);
  return {percentile_of_sorted(medians, tail), percentile_of_sorted(medians, 100.0 - tail)};
}

Interval wilson_interval(std::int64_t successes, std::int64_t trials, double confidence) {
  if (trials < 1 || successes < 0 || successes > trials) {
    fail(ErrorCode::internal, "{} successes of {} trials are no proportion", successes, trials);
  }
  const double z = normal_quantile(0.5 + confidence / 2.0);
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double scale = 1.0 + z * z / n;
  const double center = (p + z * z / (2.0 * n)) / scale;
  const double half = z / scale * std::sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n));
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

}  // namespace assay::stats
