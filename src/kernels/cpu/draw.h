#pragma once

#include <cstdint>

namespace assay::kernels::cpu {

// How a token is drawn from softmax(logits / temperature), in numbers that add up to the same in
// any order: a weight is 2^44 for the likeliest token, e^(distance / temperature) times less for
// others, from two IEEE operations in double and integers. So a token does not depend on the device
// or on how its threads take turns. The functions are constexpr, so that device code uses these
// very definitions (nvcc reads this header).

/// How one row's token is drawn.
struct Draw {
  double uniform = 0.0;      ///< from [0, 1)
  float temperature = 1.0F;  ///< 0 or less: the likeliest, the first of equals
  float top_p = 1.0F;        ///< after top_k; from 1: all
  std::int32_t top_k = 0;    ///< 0: all
};

/// Sums of so many weights are below 2^64.
inline constexpr std::int64_t kMostWeights = (std::int64_t{1} << 20) - 1;

/// 2^(44 - x / 2^32), rounded down, within 2^-29 of itself: a logit of 16 in f32 leaves 2^-20 open.
/// 0 from x = 45 * 2^32.
[[nodiscard]] constexpr std::uint64_t power_of_half(std::uint64_t x) {
  // 2^-f = 1 - f g(f), by Taylor's series: ln(2)^i / i! times 2^32.
  constexpr std::uint32_t kSeries[] = {0xb17217f8, 0x3d7f7bff, 0x0e35846c, 0x0276556e,
                                       0x00576200, 0x000a1849, 0x0000ffe6, 0x0000162c,
                                       0x000001b5, 0x0000001e, 0x00000002};
  constexpr int kTerms = sizeof(kSeries) / sizeof(kSeries[0]);
  const auto times = [f = x & 0xffffffffU](std::uint32_t value) {
    return static_cast<std::uint32_t>((f * value) >> 32);
  };
  std::uint32_t sum = 0;
  for (int i = kTerms - 1; i >= 0; --i) sum = kSeries[i] - times(sum);
  const auto whole = static_cast<std::uint32_t>(x >> 32);
  return whole > 44 ? 0 : (((std::uint64_t{1} << 32) - times(sum)) << 12) >> whole;
}

/// What weight_of() makes of a temperature, which is above 0.
[[nodiscard]] constexpr double weight_scale(float temperature) {
  constexpr double kOverLn2 = 1.4426950408889634;
  return kOverLn2 * 0x1p32 / static_cast<double>(temperature);
}
/// The weight of a logit that is `distance` below the largest.
[[nodiscard]] constexpr std::uint64_t weight_of(double distance, double scale) {
  const double x = distance * scale;
  return x < 45 * 0x1p32 ? power_of_half(static_cast<std::uint64_t>(x)) : 0;
}

[[nodiscard]] constexpr std::uint64_t part_of(std::uint64_t total, double part) {
  return static_cast<std::uint64_t>(static_cast<double>(total) * part);
}
/// The likeliest tokens are kept until their weights reach this.
[[nodiscard]] constexpr std::uint64_t wanted_weight(std::uint64_t total, float top_p) {
  const std::uint64_t part = part_of(total, static_cast<double>(top_p));
  return part > 0 ? part : 1;
}
/// The drawn token is the first, in the order of the vocabulary, at which the weights of those that
/// are kept reach this.
[[nodiscard]] constexpr std::uint64_t drawn_weight(std::uint64_t total, double uniform) {
  const std::uint64_t part = part_of(total, uniform);
  return part < total ? part + 1 : total;
}

/// What a temperature of 0 means.
[[nodiscard]] constexpr Draw resolved(Draw draw) {
  if (draw.temperature > 0) return draw;
  return {.uniform = draw.uniform, .top_k = 1};
}

}  // namespace assay::kernels::cpu
