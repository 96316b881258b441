#pragma once

#include <cstdint>

#include "kernels/cpu/attention_plan.h"

// What attention needs beside the products of amx/tiles.h: a tile of keys and values in the layout
// of bf16 panels (linear/layout.h), and numbers in two parts.
namespace assay::kernels::cpu::amx {

/// Rows of bf16, `stride` elements apart; at most kTile.
struct Rows {
  const std::uint16_t* first;
  std::int64_t stride;
  std::int64_t count;
};

/// Keys as weights: kTile / kPanel panels of keys, pairs of dimensions; missing rows are zero.
void pack_keys(const Rows& keys, std::int64_t head_dim, std::uint32_t* out);
/// Values as weights: head_dim / kPanel panels of dimensions, kTile / 2 pairs of rows. False if one
/// is NaN or infinite: products with a weight of 0 would carry it to queries that do not see it.
[[nodiscard]] bool pack_values(const Rows& values, std::int64_t head_dim, std::uint32_t* out);
/// kTile numbers as high + low in bf16, which keeps 16 bits of each mantissa; NaN stays.
void split_row(const float* values, std::uint16_t* high, std::uint16_t* low);

}  // namespace assay::kernels::cpu::amx
