// Register tiles of f32 products, compiled once for each target of the including file.
#if defined(ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_GEMM_INL_H_
#endif

#include <hwy/cache_control.h>
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

template <int Rows, int Vectors>
HWY_INLINE void multiply_tile(const float* x, std::int64_t stride, const float* panel,
                              std::int64_t k, float* acc) {
  const F32 d;
  VecF sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) sums[r][v] = hn::Load(d, acc + r * kPanel + v * kLanes);
  }
  for (std::int64_t i = 0; i < k; ++i) {
    VecF w[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) w[v] = hn::Load(d, panel + i * kPanel + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const VecF a = hn::Set(d, x[r * stride + i]);
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sums[r][v] = hn::MulAdd(a, w[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) hn::Store(sums[r][v], d, acc + r * kPanel + v * kLanes);
  }
}

/// Rows <= kTileRows rows over all columns of the panel.
template <int Rows>
HWY_NOINLINE void multiply_rows(const float* x, std::int64_t stride, const float* panel,
                                std::int64_t k, float* acc) {
  constexpr int kVectors = Rows <= kWideRows ? kWideVectors : kTileVectors;
  for (int v = 0; v < kPanelVectors; v += kVectors) {
    multiply_tile<Rows, kVectors>(x, stride, panel + v * kLanes, k, acc + v * kLanes);
  }
}

template <int Rows>
HWY_INLINE void choose_rows(std::int64_t rows, const float* x, std::int64_t stride,
                            const float* panel, std::int64_t k, float* acc) {
  if (rows == Rows) return multiply_rows<Rows>(x, stride, panel, k, acc);
  if constexpr (Rows > 1) choose_rows<Rows - 1>(rows, x, stride, panel, k, acc);
}

/// Depths of a panel, 64 KiB, that stay in the second cache while all rows pass by.
constexpr std::int64_t kCachedDepth = 512;

/// Brings a part of what comes next near, while there is something to multiply.
HWY_INLINE void prefetch_part(const float* from, std::int64_t values, std::int64_t part,
                              std::int64_t parts) {
  constexpr std::int64_t kLine = 16;
  const std::int64_t lines = values / kLine;
  for (std::int64_t i = lines * part / parts; i < lines * (part + 1) / parts; ++i) {
    hwy::Prefetch(from + i * kLine);
  }
}

/// Block of f32 x and an f32 panel. Rows go into tiles of nearly equal height.
inline void multiply_f32(const Block& block) {
  const std::int64_t tiles = (block.rows + kTileRows - 1) / kTileRows;
  const std::int64_t most = block.k <= 2 * kCachedDepth ? block.k : kCachedDepth;
  for (std::int64_t i = 0; i < block.k; i += most) {
    const std::int64_t depth = HWY_MIN(most, block.k - i);
    const std::int64_t next = HWY_MIN(most, block.k - i - depth);
    const auto* x = static_cast<const float*>(block.x) + i;
    const auto* panel = static_cast<const float*>(block.panel) + i * kPanel;
    float* acc = block.acc;
    std::int64_t left = block.rows;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t rows = (left + tiles - tile - 1) / (tiles - tile);
      prefetch_part(panel + depth * kPanel, next * kPanel, tile, tiles);
      choose_rows<kTileRows>(rows, x, block.x_stride, panel, depth, acc);
      x += rows * block.x_stride;
      acc += rows * kPanel;
      left -= rows;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
