// Register tiles of f32 products, compiled once for each target of the including file.
#if defined(ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels/cpu/linear/panel_ops.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using I32 = hn::ScalableTag<std::int32_t>;
using U32 = hn::ScalableTag<std::uint32_t>;
using VecF = hn::Vec<F32>;
using VecI = hn::Vec<I32>;
using VecU = hn::Vec<U32>;

constexpr int kLanes = HWY_LANES(float);
constexpr int kPanelVectors = static_cast<int>(kPanel) / kLanes;

/// The row of the dispatch table that this code is.
constexpr Isa kIsa = HWY_TARGET == HWY_AVX3   ? Isa::avx512
                     : HWY_TARGET == HWY_AVX2 ? Isa::avx2
                                              : Isa::portable;

// A tile has as many sums as the registers hold beside the operands: 24 of 32, 12 of 16.
#if HWY_TARGET == HWY_AVX3
constexpr int kTileRows = 12;
constexpr int kTileVectors = 2;
#elif HWY_TARGET == HWY_AVX2
constexpr int kTileRows = 6;
constexpr int kTileVectors = 2;
#else
constexpr int kTileRows = 4;
constexpr int kTileVectors = 8;
#endif
/// So few rows leave registers for twice the columns, and each cache line is read in one go.
constexpr int kWideRows = 3;
constexpr int kWideVectors = HWY_MIN(2 * kTileVectors, kPanelVectors);

/// Rows of x against a panel, and memory that is brought near meanwhile: a little at every depth,
/// because a burst of reads would hold up the loads of the product.
struct Tile {
  const float* x;
  std::int64_t stride;
  const float* panel;
  std::int64_t k;
  float* acc;
  std::int64_t acc_stride;
  bool first;         ///< acc is written, not added to
  const float* bias;  ///< added to finished sums, or nullptr
  const std::byte* ahead;
  std::int64_t ahead_step;  ///< bytes a depth

  [[nodiscard]] Tile column_part(std::int64_t column, std::int64_t part) const {
    Tile tile = *this;
    tile.panel += column;
    tile.acc += column;
    if (bias != nullptr) tile.bias += column;
    tile.ahead += part * k * ahead_step;
    return tile;
  }
};

/// Rows that one pointer reaches: an address is a base, and once or twice an index.
constexpr int kReach = 3;

template <int Rows, int Vectors>
HWY_INLINE void multiply_tile(const Tile& tile) {
  const F32 d;
  const std::int64_t stride = tile.stride;
  const std::byte* ahead = tile.ahead;
  VecF sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      sums[r][v] =
          tile.first ? hn::Zero(d) : hn::LoadU(d, tile.acc + r * tile.acc_stride + v * kLanes);
    }
  }
  // With a pointer for every row, general registers run out, and each depth fetches pointers from
  // vector registers by the port that also multiplies.
  constexpr int kPointers = (Rows + kReach - 1) / kReach;
  const float* x[kPointers];
#pragma GCC unroll 16
  for (int p = 0; p < kPointers; ++p) x[p] = tile.x + p * kReach * stride;
  const float* end = tile.panel + tile.k * kPanel;
  for (const float* panel = tile.panel; panel != end; panel += kPanel) {
    VecF w[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) w[v] = hn::Load(d, panel + v * kLanes);
    if constexpr (Rows > kWideRows) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += tile.ahead_step;
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const VecF a = hn::Set(d, x[r / kReach][r % kReach * stride]);
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sums[r][v] = hn::MulAdd(a, w[v], sums[r][v]);
    }
#pragma GCC unroll 16
    for (int p = 0; p < kPointers; ++p) {
      ++x[p];
      asm("" : "+r"(x[p]));  // else the compiler makes pointers for all rows out of them
    }
  }
#pragma GCC unroll 16
  for (int v = 0; v < Vectors; ++v) {
    const VecF bias = tile.bias != nullptr ? hn::LoadU(d, tile.bias + v * kLanes) : hn::Zero(d);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const VecF sum = tile.bias != nullptr ? hn::Add(sums[r][v], bias) : sums[r][v];
      hn::StoreU(sum, d, tile.acc + r * tile.acc_stride + v * kLanes);
    }
  }
}

/// Rows <= kTileRows rows over all columns of the panel.
template <int Rows>
HWY_NOINLINE void multiply_rows(const Tile& tile) {
  constexpr int kVectors = Rows <= kWideRows ? kWideVectors : kTileVectors;
  for (int v = 0; v < kPanelVectors; v += kVectors) {
    multiply_tile<Rows, kVectors>(tile.column_part(v * kLanes, v / kVectors));
  }
}

template <int Rows>
HWY_INLINE void choose_rows(std::int64_t rows, const Tile& tile) {
  if (rows == Rows) return multiply_rows<Rows>(tile);
  if constexpr (Rows > 1) choose_rows<Rows - 1>(rows, tile);
}

/// Depths of a panel, 64 KiB, that stay in the second cache while all rows pass by.
constexpr std::int64_t kCachedDepth = 512;

/// All rows against a part of a panel. Rows go into tiles of nearly equal height.
inline void multiply_depths(const Block& block, std::int64_t begin, std::int64_t depth,
                            const Ahead& ahead) {
  const std::int64_t tiles = (block.rows + kTileRows - 1) / kTileRows;
  constexpr std::int64_t kParts = kPanelVectors / kTileVectors;  // of a tile of many rows
  const std::int64_t reads = tiles * kParts * depth;
  const std::int64_t step = (ahead.bytes + reads - 1) / reads;
  Tile tile{static_cast<const float*>(block.x) + begin,
            block.x_stride,
            static_cast<const float*>(block.panel) + begin * kPanel,
            depth,
            block.acc,
            block.acc_stride,
            block.first && begin == 0,
            begin + depth == block.k ? block.bias : nullptr,
            ahead.from,
            step};
  if (step == 0) tile.ahead = static_cast<const std::byte*>(block.panel);
  std::int64_t left = block.rows;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t rows = (left + tiles - i - 1) / (tiles - i);
    choose_rows<kTileRows>(rows, tile);
    tile.x += rows * block.x_stride;
    tile.acc += rows * block.acc_stride;
    tile.ahead += step * depth * kParts;
    left -= rows;
  }
}

/// Block of f32 x and an f32 panel. What is read ahead is the next depths, then the next panel's.
inline void multiply_f32(const Block& block) {
  const auto* panel = static_cast<const std::byte*>(block.panel);
  constexpr std::int64_t kDepthBytes = kPanel * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t most = block.k <= 2 * kCachedDepth ? block.k : kCachedDepth;
  for (std::int64_t i = 0; i < block.k; i += most) {
    const std::int64_t depth = HWY_MIN(most, block.k - i);
    const std::int64_t left = HWY_MIN(most, block.k - i - depth);
    const std::int64_t bytes = HWY_MIN(block.ahead.bytes, most * kDepthBytes);
    multiply_depths(block, i, depth,
                    left > 0 ? Ahead{panel + (i + depth) * kDepthBytes, left * kDepthBytes}
                             : Ahead{block.ahead.from, bytes});
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
