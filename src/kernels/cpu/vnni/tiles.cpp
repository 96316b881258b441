#include "kernels/cpu/vnni/vnni.h"

#if defined(__x86_64__)

#include <cstring>

namespace assay::kernels::cpu::vnni {
namespace {

/// Two bf16 products into each f32 sum.
struct Bf16Dot {
  using Sum = __m512;
  using Element = float;
  static constexpr std::int64_t kUnit = kBf16Unit;
  static constexpr std::int64_t kBytes = 2;  ///< of an x element
  ASSAY_VNNI_INLINE static Sum load(const float* from) { return _mm512_loadu_ps(from); }
  ASSAY_VNNI_INLINE static void store(float* to, Sum sum) { _mm512_storeu_ps(to, sum); }
  ASSAY_VNNI_INLINE static Sum add(Sum sum, __m512i w, __m512i x) {
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
  }
};

/// Four int8 products, unsigned weights, into each int32 sum.
struct Int8Dot {
  using Sum = __m512i;
  using Element = std::int32_t;
  static constexpr std::int64_t kUnit = kByteUnit;
  static constexpr std::int64_t kBytes = 1;
  ASSAY_VNNI_INLINE static Sum load(const std::int32_t*) { return _mm512_setzero_si512(); }
  ASSAY_VNNI_INLINE static void store(std::int32_t* to, Sum sum) { _mm512_storeu_si512(to, sum); }
  ASSAY_VNNI_INLINE static Sum add(Sum sum, __m512i w, __m512i x) {
    return _mm512_dpbusd_epi32(sum, w, x);
  }
};

ASSAY_VNNI_INLINE __m512i broadcast_word(const std::byte* from) {
  std::int32_t word;
  std::memcpy(&word, from, sizeof(word));
  return _mm512_set1_epi32(word);
}

/// Rows x kPanel sums; x and panel advance by words of one unit.
template <class Dot, int Rows>
[[gnu::noinline]] ASSAY_VNNI void tile(const std::byte* x, std::int64_t stride,
                                       const std::byte* panel, std::int64_t units,
                                       typename Dot::Element* acc) {
  typename Dot::Sum sums[Rows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Dot::load(acc + r * kPanel + v * kLanes);
  }
  for (std::int64_t u = 0; u < units; ++u) {
    const std::byte* from = panel + u * kPanel * 4;
    const __m512i w0 = _mm512_loadu_si512(from);
    const __m512i w1 = _mm512_loadu_si512(from + 64);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const __m512i a = broadcast_word(x + r * stride + u * 4);
      sums[r][0] = Dot::add(sums[r][0], w0, a);
      sums[r][1] = Dot::add(sums[r][1], w1, a);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Dot::store(acc + r * kPanel + v * kLanes, sums[r][v]);
  }
}

template <class Dot, int Rows>
ASSAY_VNNI void choose(std::int64_t rows, const std::byte* x, std::int64_t stride,
                       const std::byte* panel, std::int64_t units, typename Dot::Element* acc) {
  if (rows == Rows) return tile<Dot, Rows>(x, stride, panel, units, acc);
  if constexpr (Rows > 1) choose<Dot, Rows - 1>(rows, x, stride, panel, units, acc);
}

/// Rows go into tiles of nearly equal height.
template <class Dot, class AnyBlock>
ASSAY_VNNI void multiply(const AnyBlock& block) {
  const auto* x = static_cast<const std::byte*>(block.x);
  const auto* panel = static_cast<const std::byte*>(static_cast<const void*>(block.panel));
  const std::int64_t stride = block.x_stride * Dot::kBytes;
  auto* acc = block.acc;
  std::int64_t left = block.rows;
  for (std::int64_t tiles = (left + kTileRows - 1) / kTileRows; tiles > 0; --tiles) {
    const std::int64_t rows = (left + tiles - 1) / tiles;
    choose<Dot, kTileRows>(rows, x, stride, panel, block.k / Dot::kUnit, acc);
    x += rows * stride;
    acc += rows * kPanel;
    left -= rows;
  }
}

}  // namespace

ASSAY_VNNI void multiply_bf16(const Block& block) { multiply<Bf16Dot>(block); }
ASSAY_VNNI void multiply_int8(const IntegerBlock& block) { multiply<Int8Dot>(block); }

}  // namespace assay::kernels::cpu::vnni

#endif
