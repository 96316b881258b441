#include "stats/samples.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "stats/normal.h"

namespace assay::stats {
namespace {

// numpy 2: a.mean(), a.std(ddof=1), a.std(ddof=1) / sqrt(7), np.percentile(a, p), np.median(a).
const std::vector<double> kSamples = {3.5, -1.25, 7.0, 2.0, 2.0, 9.75, 0.5};

TEST(Samples, MeanAndDeviationEqualNumpy) {
  EXPECT_DOUBLE_EQ(mean(kSamples), 3.357142857142857);
  EXPECT_DOUBLE_EQ(stdev(kSamples), 3.8129634769022474);
  EXPECT_DOUBLE_EQ(standard_error(kSamples), 1.4411647311507887);
}

TEST(Samples, PercentilesEqualNumpy) {
  const std::pair<double, double> wanted[] = {
      {0, -1.25}, {10, -0.19999999999999984}, {25, 1.25},  {50, 2.0},
      {90, 8.1},  {95, 8.924999999999997},    {99, 9.585}, {100, 9.75}};
  for (const auto& [percent, value] : wanted) {
    EXPECT_NEAR(percentile(kSamples, percent), value, 1e-14) << percent;
  }
}

TEST(Samples, MedianOfOddAndEvenCounts) {
  EXPECT_EQ(median(kSamples), 2.0);
  EXPECT_EQ(median(std::span(kSamples).first(6)), 2.75);
  EXPECT_EQ(median(std::vector<double>{4.0}), 4.0);
}

TEST(Samples, OneSampleHasNoDeviation) {
  const std::vector<double> one = {2.5};
  EXPECT_EQ(mean(one), 2.5);
  EXPECT_EQ(stdev(one), 0.0);
  EXPECT_EQ(percentile(one, 95), 2.5);
}

TEST(Samples, NoSamplesOrNoPercentileIsAnError) {
  const std::vector<double> none;
  EXPECT_THROW((void)mean(none), Error);
  EXPECT_THROW((void)stdev(none), Error);
  EXPECT_THROW((void)median(none), Error);
  EXPECT_THROW((void)percentile(none, 50), Error);
  EXPECT_THROW((void)percentile(kSamples, 100.5), Error);
  EXPECT_THROW((void)percentile(kSamples, std::nan("")), Error);
  EXPECT_THROW((void)bootstrap_median_interval(none, 0.95, 10, 1), Error);
  EXPECT_THROW((void)bootstrap_median_interval(kSamples, 1.0, 10, 1), Error);
}

// The bootstrap median of 1..101 is at most k with probability P(Binomial(101, k/101) >= 51). By
// scipy.stats.binom.sf(50, 101, k/101) its 2.5% and 97.5% points are 41 and 61; between 20,000
// resamples and infinitely many lies at most one step.
TEST(Bootstrap, LimitsAreThoseOfTheExactDistribution) {
  std::vector<double> samples;
  for (int i = 0; i < 101; ++i) samples.push_back(1 + (i * 37) % 101);
  const Interval interval = bootstrap_median_interval(samples, 0.95, 20000, 3);
  EXPECT_NEAR(interval.low, 41, 1);
  EXPECT_NEAR(interval.high, 61, 1);
}

TEST(Bootstrap, SameSeedSameIntervalAndItIsWiderForMoreConfidence) {
  const Interval a = bootstrap_median_interval(kSamples, 0.9, 2000, 5);
  const Interval b = bootstrap_median_interval(kSamples, 0.9, 2000, 5);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  const Interval wide = bootstrap_median_interval(kSamples, 0.999, 2000, 5);
  EXPECT_LT(wide.low, a.low);
  EXPECT_GE(wide.high, a.high);
  EXPECT_LE(a.low, 2.0);
  EXPECT_GE(a.high, 2.0);
}

// scipy 1: binomtest(k, n).proportion_ci(confidence_level=c, method="wilson").
TEST(Wilson, EqualsScipy) {
  const Interval none = wilson_interval(0, 10);
  EXPECT_NEAR(none.low, 0.0, 1e-15);
  EXPECT_NEAR(none.high, 0.27753279986288926, 1e-14);
  const Interval all = wilson_interval(10, 10);
  EXPECT_NEAR(all.low, 0.7224672001371109, 1e-14);
  EXPECT_NEAR(all.high, 1.0, 1e-15);
  const Interval many = wilson_interval(1810, 2000);
  EXPECT_NEAR(many.low, 0.8913619885095447, 1e-14);
  EXPECT_NEAR(many.high, 0.9170852031926406, 1e-14);
  const Interval wide = wilson_interval(7, 20, 0.99);
  EXPECT_NEAR(wide.low, 0.14639344137693885, 1e-14);
  EXPECT_NEAR(wide.high, 0.6283381789526872, 1e-14);
  EXPECT_THROW((void)wilson_interval(3, 2), Error);
  EXPECT_THROW((void)wilson_interval(0, 0), Error);
}

// scipy.stats.norm.ppf and cdf.
TEST(Normal, EqualsScipy) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(normal_quantile(0.5), 0.0, 1e-15);
  EXPECT_NEAR(normal_quantile(0.01), -2.3263478740408408, 1e-14);
  EXPECT_NEAR(normal_quantile(1e-10), -6.361340902404056, 1e-13);
  EXPECT_NEAR(normal_quantile(0.9999), 3.719016485455709, 1e-12);
  EXPECT_NEAR(normal_cdf(-3), 0.0013498980316300933, 1e-17);
  EXPECT_NEAR(normal_cdf(0.5), 0.6914624612740131, 1e-15);
  EXPECT_THROW((void)normal_quantile(0.0), Error);
  EXPECT_THROW((void)normal_quantile(1.0), Error);
}

}  // namespace
}  // namespace assay::stats
