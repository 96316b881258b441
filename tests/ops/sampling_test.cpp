#include "ops/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace assay::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int> draw(const std::vector<float>& logits, float temperature, int top_k, float top_p,
                      int count) {
  base::Random random(42);
  std::vector<int> counts(logits.size());
  for (int i = 0; i < count; ++i) {
    ++counts[static_cast<std::size_t>(sample(logits, temperature, top_k, top_p, random))];
  }
  return counts;
}

TEST(Sample, TemperatureZeroIsTheFirstLargest) {
  base::Random random(1);
  EXPECT_EQ(sample(std::vector<float>{1, 5, 5, 2}, 0.0F, 0, 1.0F, random), 1);
  EXPECT_EQ(argmax(std::vector<float>{1, 5, 5, 2}), 1);
}

TEST(Sample, FrequenciesAreTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0.0F, 1.0F, -1.0F, 2.0F, -kInfinity};
  constexpr int kCount = 100000;
  for (const float temperature : {0.5F, 1.0F, 2.0F}) {
    double total = 0;
    for (const float x : logits) total += std::exp(double{x} / temperature);
    const auto counts = draw(logits, temperature, 0, 1.0F, kCount);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = std::exp(double{logits[i]} / temperature) / total;
      // Five standard deviations of a binomial count.
      EXPECT_NEAR(counts[i], kCount * p, 5 * std::sqrt(kCount * p * (1 - p))) << temperature;
    }
  }
}

TEST(Sample, TopKKeepsTheLargestAndTheirRatio) {
  const auto counts = draw({0.0F, 1.0F, -1.0F, 2.0F}, 1.0F, 2, 1.0F, 20000);
  EXPECT_EQ(counts[0], 0);
  EXPECT_EQ(counts[2], 0);
  const double p = 1.0 / (1.0 + std::exp(1.0));
  EXPECT_NEAR(counts[1], 20000 * p, 5 * std::sqrt(20000 * p * (1 - p)));
  EXPECT_EQ(draw({0.0F, 3.0F}, 1.0F, 1, 1.0F, 100)[1], 100);
  EXPECT_GT(draw({0.0F, 0.5F}, 1.0F, 50, 1.0F, 100)[0], 0);  // more than there are
}

TEST(Sample, TopPKeepsTheSmallestSufficientSet) {
  // Probabilities 0.5, 0.3, 0.15, 0.05.
  std::vector<float> logits;
  for (const double p : {0.15, 0.5, 0.05, 0.3}) logits.push_back(static_cast<float>(std::log(p)));
  const auto most = draw(logits, 1.0F, 0, 0.75F, 20000);
  EXPECT_EQ(most[0], 0);
  EXPECT_EQ(most[2], 0);
  EXPECT_NEAR(most[1], 20000 * 0.625, 5 * std::sqrt(20000 * 0.625 * 0.375));
  EXPECT_EQ(draw(logits, 1.0F, 0, 0.4F, 200)[1], 200);
  EXPECT_EQ(draw(logits, 1.0F, 0, 0.0F, 200)[1], 200);  // at least one always stays
  EXPECT_EQ(draw(logits, 1.0F, 0, 0.96F, 2000)[2] > 0, true);
}

TEST(Sample, SameSeedSameDraws) {
  std::vector<float> logits(1000);
  base::Random values(3);
  for (float& v : logits) v = static_cast<float>(values.normal());
  base::Random a(9);
  base::Random b(9);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(sample(logits, 0.8F, 40, 0.9F, a), sample(logits, 0.8F, 40, 0.9F, b));
  }
}

TEST(Sample, WhatIsNotFiniteIsAnError) {
  base::Random random(1);
  EXPECT_THROW((void)sample(std::vector<float>{1, NAN}, 1.0F, 0, 1.0F, random), Error);
  EXPECT_THROW((void)sample(std::vector<float>{1, kInfinity}, 1.0F, 0, 1.0F, random), Error);
  EXPECT_THROW((void)sample(std::vector<float>{-kInfinity}, 1.0F, 0, 1.0F, random), Error);
  EXPECT_THROW((void)sample(std::vector<float>{}, 1.0F, 0, 1.0F, random), Error);
  EXPECT_THROW((void)argmax(std::vector<float>{NAN, 1}), Error);
}

}  // namespace
}  // namespace assay::ops
