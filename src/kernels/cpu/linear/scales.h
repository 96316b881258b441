#pragma once

#include <array>

#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear/layout.h"
#include "precision/constants.h"

// Scales and order of packed weights.
namespace assay::kernels::cpu {

/// Values of the codes of q4_0 and q4_1, before scale and minimum.
inline constexpr std::array<float, 16> kQ4_0Table = {-8.0F, -7.0F, -6.0F, -5.0F, -4.0F, -3.0F,
                                                     -2.0F, -1.0F, 0.0F,  1.0F,  2.0F,  3.0F,
                                                     4.0F,  5.0F,  6.0F,  7.0F};
inline constexpr std::array<float, 16> kQ4_1Table = {0.0F,  1.0F,  2.0F,  3.0F, 4.0F,  5.0F,
                                                     6.0F,  7.0F,  8.0F,  9.0F, 10.0F, 11.0F,
                                                     12.0F, 13.0F, 14.0F, 15.0F};

/// Column of the weight that each stored column is; empty: the same.
[[nodiscard]] inline std::span<const std::int32_t> stored_order(const PackedWeight& weight) {
  if (weight.rest.groups == nullptr) return {};
  return weight.rest.groups->order;
}

[[nodiscard]] inline float nested_scale(const precision::DoubleQuant& nested, std::int64_t block) {
  const auto b = static_cast<std::size_t>(block);
  return precision::kSignedDynamicMap[nested.codes[b]] *
             nested.absmax[b / static_cast<std::size_t>(precision::kNestedBlock)] +
         nested.offset;
}

/// Scale of weight (r, i) of a packed nf4 or fp4 tensor, in any of its forms.
[[nodiscard]] inline float four_bit_scale(const PackedWeight& weight, std::int64_t r,
                                          std::int64_t i) {
  const std::int64_t block = (r * weight.k + i) / precision::kFourBitBlock;
  if (weight.rest.nested != nullptr) return nested_scale(*weight.rest.nested, block);
  const auto* scales = weight.scales.as<float>();
  if (weight.k % precision::kFourBitBlock != 0) return scales[block];
  const std::int64_t blocks = weight.k / precision::kFourBitBlock;
  return scales[(r / kPanel * blocks + i / precision::kFourBitBlock) * kPanel + r % kPanel];
}

}  // namespace assay::kernels::cpu
