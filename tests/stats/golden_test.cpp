#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "stats/calibration.h"
#include "stats/classification.h"
#include "stats/paired.h"

namespace assay::stats {
namespace {

using Numbers = std::vector<double>;

/// Written by tests/golden/scripts/make_stats_golden.py.
const Json& golden() {
  static const Json json = base::read_json(std::string(ASSAY_GOLDEN_DIR) + "/stats/stats.json");
  return json;
}

TEST(McNemar, EqualsStatsmodels) {
  ASSERT_GE(golden().at("mcnemar").size(), 9U);
  for (const Json& c : golden().at("mcnemar")) {
    const double p = mcnemar_exact(c.at("first"), c.at("second"));
    EXPECT_NEAR(p, c.at("p").get<double>(), 1e-11) << c.dump();
  }
  EXPECT_THROW((void)mcnemar_exact(-1, 2), Error);
}

TEST(Holm, EqualsStatsmodels) {
  ASSERT_GE(golden().at("holm").size(), 5U);
  for (const Json& c : golden().at("holm")) {
    const auto adjusted = holm(c.at("p").get<Numbers>());
    const auto wanted = c.at("adjusted").get<Numbers>();
    ASSERT_EQ(adjusted.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(adjusted[i], wanted[i], 1e-15) << c.dump();
    }
  }
  EXPECT_TRUE(holm({}).empty());
  EXPECT_THROW((void)holm(Numbers{0.1, 1.5}), Error);
}

// Each limit of 20,000 resamples is itself uncertain by about 0.012 standard errors (2.5 % point of
// a normal distribution); five of those are allowed.
TEST(PairedBootstrap, LimitsAgreeWithScipy) {
  ASSERT_GE(golden().at("bootstrap").size(), 2U);
  for (const Json& c : golden().at("bootstrap")) {
    const auto samples = c.at("samples").get<Numbers>();
    const double allowed =
        0.06 * c.at("standard_error").get<double>() + 1.001 * c.at("step").get<double>();
    const Interval interval = bootstrap_mean_interval(samples, 0.95, 20000, 11);
    EXPECT_NEAR(interval.low, c.at("low").get<double>(), allowed);
    EXPECT_NEAR(interval.high, c.at("high").get<double>(), allowed);
    // Equal weights of 2 halve it.
    const Numbers twos(samples.size(), 2.0);
    const Interval halved = bootstrap_ratio_interval(samples, twos, 0.95, 20000, 11);
    EXPECT_DOUBLE_EQ(halved.low, interval.low / 2);
  }
  EXPECT_THROW((void)bootstrap_mean_interval({}, 0.95, 10, 1), Error);
  EXPECT_THROW((void)bootstrap_ratio_interval(Numbers{1}, Numbers{1, 2}, 0.95, 10, 1), Error);
}

TEST(SmallestDetectableDifference, SolvesConnorsFormulaAndHasItsPower) {
  int with_power = 0;
  for (const Json& c : golden().at("detectable")) {
    const double d = smallest_detectable_difference(c.at("n"), c.at("share"));
    EXPECT_NEAR(d, c.at("difference").get<double>(), 1e-10) << c.dump();
    if (!c.contains("exact_power")) continue;
    // The exact test is a little more cautious than the formula's normal approximation.
    EXPECT_NEAR(c.at("exact_power").get<double>(), 0.77, 0.04) << c.dump();
    ++with_power;
  }
  EXPECT_GE(with_power, 4);
  EXPECT_EQ(smallest_detectable_difference(3, 0.1), 1.0);
  const std::int64_t n = items_needed(0.02, 0.1);
  EXPECT_LE(smallest_detectable_difference(n, 0.1), 0.02);
  EXPECT_GT(smallest_detectable_difference(n - 10, 0.1), 0.02);
  EXPECT_GT(smallest_detectable_difference(100, 0.1), smallest_detectable_difference(1000, 0.1));
}

TEST(ClassAverages, EqualScikitLearn) {
  for (const Json& c : golden().at("classification")) {
    const ConfusionMatrix matrix(c.at("expected").get<std::vector<int>>(),
                                 c.at("predicted").get<std::vector<int>>(), c.at("classes"));
    for (const auto& [name, average] :
         {std::pair{"macro", matrix.macro()}, {"weighted", matrix.weighted()}}) {
      const auto wanted = c.at(name).get<Numbers>();
      EXPECT_NEAR(average.precision, wanted[0], 1e-14) << name;
      EXPECT_NEAR(average.recall, wanted[1], 1e-14) << name;
      EXPECT_NEAR(average.f1, wanted[2], 1e-14) << name;
    }
  }
  EXPECT_EQ(ConfusionMatrix(2).weighted().f1, 0.0);
}

TEST(Calibration, EqualsItsDefinition) {
  for (const Json& c : golden().at("calibration")) {
    const double error =
        expected_calibration_error(c.at("confidence").get<Numbers>(),
                                   c.at("correct").get<std::vector<std::uint8_t>>(), c.at("bins"));
    EXPECT_NEAR(error, c.at("error").get<double>(), 1e-13);
  }
  EXPECT_THROW((void)expected_calibration_error(Numbers{1.5}, std::vector<std::uint8_t>{1}), Error);
  EXPECT_THROW((void)expected_calibration_error({}, {}), Error);
}

TEST(Correlation, EqualsScipy) {
  for (const Json& c : golden().at("correlation")) {
    EXPECT_NEAR(correlation(c.at("a").get<Numbers>(), c.at("b").get<Numbers>()),
                c.at("r").get<double>(), 1e-14);
  }
  EXPECT_EQ(correlation(Numbers{1, 2}, Numbers{3, 3}), 0.0);
  EXPECT_THROW((void)correlation(Numbers{1}, Numbers{1, 2}), Error);
}

}  // namespace
}  // namespace assay::stats
