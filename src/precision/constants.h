#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

// Every constant of the encodings, once. Tables on other devices are made from these.
namespace assay::precision {

inline constexpr std::int64_t kFourBitBlock = 64;  ///< weights that share an absmax in nf4 and fp4
inline constexpr std::int64_t kNestedBlock = 256;  ///< absmax values that share a nested absmax
inline constexpr std::int64_t kGgufBlock = 32;     ///< weights in a block of q4_0, q4_1, q8_0

/// An int8 code c of a row with absmax s stands for c * s / 127.
inline constexpr float kInverse127 = 1.0F / 127.0F;
/// Scale of a product of two int8 codes: exactly 1/127^2, rounded once.
inline constexpr float kInverse127Squared = 1.0F / 16129.0F;

/// NF4: quantiles of the normal distribution, normalized to [-1, 1], in ascending order (QLoRA,
/// arXiv 2305.14314, appendix E).
inline constexpr std::array<float, 16> kNf4Table = {-1.0F,
                                                    -0.6961928009986877F,
                                                    -0.5250730514526367F,
                                                    -0.39491748809814453F,
                                                    -0.28444138169288635F,
                                                    -0.18477343022823334F,
                                                    -0.09105003625154495F,
                                                    0.0F,
                                                    0.07958029955625534F,
                                                    0.16093020141124725F,
                                                    0.24611230194568634F,
                                                    0.33791524171829224F,
                                                    0.44070982933044434F,
                                                    0.5626170039176941F,
                                                    0.7229568362236023F,
                                                    1.0F};

/// FP4: one sign, two exponent and one mantissa bit, by bit pattern, divided by its maximum of 12.
/// Code 8 (negative zero) has the value of code 0.
inline constexpr std::array<float, 16> kFp4Table = {
    0.0F, 0.0625F / 12.0F,  8.0F / 12.0F,  1.0F,  4.0F / 12.0F,  0.5F,  2.0F / 12.0F,  0.25F,
    0.0F, -0.0625F / 12.0F, -8.0F / 12.0F, -1.0F, -4.0F / 12.0F, -0.5F, -2.0F / 12.0F, -0.25F};

/// Code 7 of NF4 is zero; what a block without any weight other than zero is filled with.
inline constexpr std::uint8_t kNf4Zero = 7;

/// Codes of NF4 in ascending order of their values: the table is sorted.
inline constexpr std::array<std::uint8_t, 16> kNf4Order = {0, 1, 2,  3,  4,  5,  6,  7,
                                                           8, 9, 10, 11, 12, 13, 14, 15};
/// Codes of FP4 in ascending order of their values.
inline constexpr std::array<std::uint8_t, 16> kFp4Order = {11, 10, 13, 12, 15, 14, 9, 0,
                                                           8,  1,  6,  7,  4,  5,  2, 3};

/// Where rounding changes from one value to the next: midpoints of neighbours, computed in f32. A
/// scaled weight gets order[number of bounds below it].
constexpr std::array<float, 15> nearest_bounds(const std::array<float, 16>& table,
                                               const std::array<std::uint8_t, 16>& order) {
  std::array<float, 15> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = (table[order[i]] + table[order[i + 1]]) / 2.0F;
  }
  return bounds;
}
inline constexpr std::array<float, 15> kNf4Bounds = nearest_bounds(kNf4Table, kNf4Order);
inline constexpr std::array<float, 15> kFp4Bounds = nearest_bounds(kFp4Table, kFp4Order);

/// The signed dynamic map of 8 bits (Dettmers, arXiv 1511.04561): for each of seven decades, the
/// interval [0.1, 1] cut into 1, 2, ..., 64 parts whose centres, with both signs, are the values;
/// besides 0 and 1. Ascending. Rounded as the package rounds it: interval borders to f32 once.
constexpr std::array<float, 256> make_signed_dynamic_map() {
  constexpr std::array<float, 7> kDecades = {1e-6F, 1e-5F, 1e-4F, 1e-3F, 1e-2F, 1e-1F, 1.0F};
  std::array<float, 256> map{};
  std::size_t used = 0;
  for (std::size_t decade = 0; decade < kDecades.size(); ++decade) {
    const int parts = 1 << decade;
    const float step = (1.0F - 0.1F) / static_cast<float>(parts);
    const auto border = [&](int k) {
      // Counted from the nearer end.
      const double low = 0.1F + static_cast<double>(step) * k;
      const double high = 1.0 - static_cast<double>(step) * (parts - k);
      return static_cast<float>(k < (parts + 1) / 2 ? low : high);
    };
    for (int k = 0; k < parts; ++k) {
      const float value = kDecades[decade] * ((border(k) + border(k + 1)) / 2.0F);
      map[used++] = value;
      map[used++] = -value;
    }
  }
  map[used++] = 0.0F;
  map[used++] = 1.0F;
  std::sort(map.begin(), map.end());
  return map;
}
inline constexpr std::array<float, 256> kSignedDynamicMap = make_signed_dynamic_map();

/// Largest value of fp8 E4M3.
inline constexpr float kFp8Largest = 448.0F;

}  // namespace assay::precision
