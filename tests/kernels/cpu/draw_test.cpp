#include "kernels/cpu/draw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/hash.h"
#include "kernels/cpu/elementwise.h"

namespace assay::kernels::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kOne = 0x1p44;

std::vector<int> counts_of(const std::vector<float>& logits, Draw draw, int count) {
  base::Random random(42);
  std::vector<int> counts(logits.size());
  for (int i = 0; i < count; ++i) {
    draw.uniform = random.uniform();
    ++counts[static_cast<std::size_t>(draw_token(logits, draw))];
  }
  return counts;
}

TEST(DrawWeights, AreExponentials) {
  for (double x = 0; x < 46; x += 0x1p-9) {
    const auto weight = static_cast<double>(power_of_half(static_cast<std::uint64_t>(x * 0x1p32)));
    ASSERT_NEAR(weight, kOne * std::exp2(-x), 1 + 0x1p-29 * kOne * std::exp2(-x)) << x;
  }
  EXPECT_EQ(power_of_half(0), std::uint64_t{1} << 44);
  EXPECT_EQ(power_of_half(~0ULL), 0U);
  for (const float temperature : {0.1F, 1.0F, 7.0F}) {
    for (const double distance : {0.0, 1e-3, 0.7, 2.5, 3.9}) {
      const double wanted = kOne * std::exp(-distance / double{temperature});
      const auto weight = static_cast<double>(weight_of(distance, weight_scale(temperature)));
      EXPECT_NEAR(weight, wanted, 1 + 0x1p-28 * wanted) << distance << " by " << temperature;
    }
  }
}

TEST(DrawWeights, ExtremesHaveOne) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const float huge = std::numeric_limits<float>::max();
  for (const float temperature : {tiny, 1e-6F, 1.0F, huge}) {
    const double scale = weight_scale(temperature);
    EXPECT_EQ(weight_of(0.0, scale), std::uint64_t{1} << 44);
    EXPECT_EQ(weight_of(std::numeric_limits<double>::infinity(), scale), 0U);
  }
  EXPECT_EQ(weight_of(1.0, weight_scale(tiny)), 0U);
  EXPECT_EQ(weight_of(1.0, weight_scale(huge)), std::uint64_t{1} << 44);
}

TEST(DrawWeights, PartsStayWithinTheWhole) {
  const double below_one = 1.0 - 0x1p-53;
  const std::uint64_t totals[] = {1, std::uint64_t{1} << 44, std::uint64_t{1} << 63,
                                  static_cast<std::uint64_t>(kMostWeights) << 44};
  for (const std::uint64_t total : totals) {
    EXPECT_EQ(drawn_weight(total, 0.0), 1U);
    EXPECT_LE(drawn_weight(total, below_one), total);
    EXPECT_EQ(wanted_weight(total, 0.0F), 1U);
    EXPECT_LE(wanted_weight(total, std::nextafter(1.0F, 0.0F)), total);
  }
}

/// As draw_token, in plain doubles; `margin` is how far the draw is from another token's share.
std::int32_t plain_draw(const std::vector<float>& logits, const Draw& draw, double& margin) {
  const double largest = *std::ranges::max_element(logits);
  const auto weight = [&](std::size_t i) {
    return std::exp((double{logits[i]} - largest) / double{draw.temperature});
  };
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](auto a, auto b) { return logits[a] > logits[b]; });
  if (draw.top_k > 0) order.resize(std::min(order.size(), std::size_t(draw.top_k)));
  double total = 0;
  for (const std::size_t i : order) total += weight(i);
  double sum = 0;
  std::size_t keep = 0;
  margin = 1;
  while (keep < order.size() && (keep == 0 || sum < total * double{draw.top_p})) {
    sum += weight(order[keep++]);
    margin = std::min(margin, std::abs(sum / total - double{draw.top_p}));
  }
  if (draw.top_p >= 1.0F) margin = 1;
  order.resize(keep);
  std::ranges::sort(order);
  double before = 0;
  for (const std::size_t i : order) {
    before += weight(i);
    margin = std::min(margin, std::abs(before / sum - draw.uniform));
    if (before / sum > draw.uniform) return static_cast<std::int32_t>(i);
  }
  return static_cast<std::int32_t>(order.back());
}

TEST(Draw, IsThatOfPlainDoubles) {
  base::Random random(5);
  int close = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<float> logits(1 + random.below(200));
    const bool coarse = i % 3 == 0;  // with equals
    for (float& v : logits) {
      const double value = 3 * random.normal();
      v = static_cast<float>(coarse ? std::round(value) : value);
    }
    const Draw draw{.uniform = random.uniform(),
                    .temperature = static_cast<float>(0.2 + 2 * random.uniform()),
                    .top_p = i % 2 == 0 ? 1.0F : static_cast<float>(0.05 + 0.9 * random.uniform()),
                    .top_k = static_cast<std::int32_t>(random.below(60))};
    double margin = 0;
    const std::int32_t wanted = plain_draw(logits, draw, margin);
    if (margin < 1e-7) {
      ++close;
    } else {
      EXPECT_EQ(draw_token(logits, draw), wanted) << i;
    }
  }
  EXPECT_LE(close, 10);
}

TEST(Draw, TemperatureZeroIsTheFirstLargest) {
  for (const double u : {0.0, 0.5, 0.999}) {
    const Draw draw{.uniform = u, .temperature = 0.0F, .top_p = 0.5F, .top_k = 3};
    EXPECT_EQ(draw_token(std::vector<float>{1, 5, 5, 2}, draw), 1);
  }
}

TEST(Draw, FrequenciesAreTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0.0F, 1.0F, -1.0F, 2.0F, -kInfinity};
  constexpr int kCount = 100000;
  for (const float temperature : {0.5F, 1.0F, 2.0F}) {
    double total = 0;
    for (const float x : logits) total += std::exp(double{x} / double{temperature});
    const auto counts = counts_of(logits, {.temperature = temperature}, kCount);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = std::exp(double{logits[i]} / double{temperature}) / total;
      // Five standard deviations of a binomial count.
      EXPECT_NEAR(counts[i], kCount * p, 5 * std::sqrt(kCount * p * (1 - p))) << temperature;
    }
  }
}

TEST(Draw, TopKKeepsTheLargestAndTheirRatio) {
  const auto counts = counts_of({0.0F, 1.0F, -1.0F, 2.0F}, {.top_k = 2}, 20000);
  EXPECT_EQ(counts[0], 0);
  EXPECT_EQ(counts[2], 0);
  const double p = 1.0 / (1.0 + std::exp(1.0));
  EXPECT_NEAR(counts[1], 20000 * p, 5 * std::sqrt(20000 * p * (1 - p)));
  EXPECT_EQ(counts_of({0.0F, 3.0F}, {.top_k = 1}, 100)[1], 100);
  EXPECT_GT(counts_of({0.0F, 0.5F}, {.top_k = 50}, 100)[0], 0);  // more than there are
}

TEST(Draw, OfEqualsTheFirstAreKept) {
  const auto counts = counts_of(std::vector<float>(7, 2.0F), {.top_k = 3}, 3000);
  EXPECT_EQ(counts[0] + counts[1] + counts[2], 3000);
  const auto half = counts_of(std::vector<float>(8, 2.0F), {.top_p = 0.5F}, 3000);
  EXPECT_EQ(half[0] + half[1] + half[2] + half[3], 3000);
  EXPECT_EQ(counts_of({-0.0F, 0.0F, -0.0F}, {.top_k = 1}, 50)[0], 50);
}

TEST(Draw, IsInTheOrderOfTheVocabulary) {
  const std::vector<float> logits = {0.0F, 3.0F, 1.0F, 3.0F};
  EXPECT_EQ(draw_token(logits, {.uniform = 0.0, .top_p = 0.99F, .top_k = 3}), 1);
  EXPECT_EQ(draw_token(logits, {.uniform = 0.0}), 0);
  EXPECT_EQ(draw_token(logits, {.uniform = 1.0 - 0x1p-53, .top_k = 2}), 3);
}

TEST(Draw, TopPKeepsTheSmallestSufficientSet) {
  // Probabilities 0.5, 0.3, 0.15, 0.05.
  std::vector<float> logits;
  for (const double p : {0.15, 0.5, 0.05, 0.3}) logits.push_back(static_cast<float>(std::log(p)));
  const auto most = counts_of(logits, {.top_p = 0.75F}, 20000);
  EXPECT_EQ(most[0], 0);
  EXPECT_EQ(most[2], 0);
  EXPECT_NEAR(most[1], 20000 * 0.625, 5 * std::sqrt(20000 * 0.625 * 0.375));
  EXPECT_EQ(counts_of(logits, {.top_p = 0.4F}, 200)[1], 200);
  EXPECT_EQ(counts_of(logits, {.top_p = 0.0F}, 200)[1], 200);  // at least one always stays
  EXPECT_GT(counts_of(logits, {.top_p = 0.96F}, 2000)[2], 0);
}

TEST(Draw, WhatIsNotFiniteGivesNoToken) {
  for (const float temperature : {0.0F, 1.0F}) {
    const Draw draw{.temperature = temperature};
    EXPECT_EQ(draw_token(std::vector<float>{1, NAN}, draw), -1);
    EXPECT_EQ(draw_token(std::vector<float>{NAN, 1}, draw), -1);
    EXPECT_EQ(draw_token(std::vector<float>{1, kInfinity}, draw), -1);
    EXPECT_EQ(draw_token(std::vector<float>{-kInfinity, -kInfinity}, draw), -1);
    EXPECT_EQ(draw_token({}, draw), -1);
    EXPECT_EQ(draw_token(std::vector<float>{-kInfinity, -3e38F}, draw), 1);
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
