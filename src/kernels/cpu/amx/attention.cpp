#include "kernels/cpu/amx/attention.h"

#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/cpu/linear/layout.h"
#include "kernels/cpu/vnni/vnni.h"

namespace assay::kernels::cpu::amx {
namespace {

constexpr int kLanes = 16;

/// Exchanges rows and columns of 16 x 16 words: pairs of rows, pairs of pairs, then quarters.
ASSAY_VNNI_INLINE void transpose(__m512i* rows) {
  __m512i other[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; i += 2) {
    other[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    other[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(other[i], other[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(other[i], other[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(other[i + 1], other[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(other[i + 1], other[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i low0 = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    const __m512i low1 = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    const __m512i high0 = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
    const __m512i high1 = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
    other[i] = _mm512_shuffle_i32x4(low0, low1, 0x88);
    other[i + 8] = _mm512_shuffle_i32x4(low0, low1, 0xdd);
    other[i + 4] = _mm512_shuffle_i32x4(high0, high1, 0x88);
    other[i + 12] = _mm512_shuffle_i32x4(high0, high1, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) rows[i] = other[i];
}

ASSAY_VNNI_INLINE __m512 widened(__m256i bits) {
  return _mm512_castsi512_ps(
      _mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, bits), 16));
}

/// Lanes 0, 32, 1, 33, ...: the first or second half of 32 pairs out of two rows.
constexpr std::array<std::uint16_t, 32> interleave(int first) {
  std::array<std::uint16_t, 32> lanes{};
  for (int i = 0; i < kLanes; ++i) {
    lanes[2 * i] = static_cast<std::uint16_t>(first + i);
    lanes[2 * i + 1] = static_cast<std::uint16_t>(first + i + 32);
  }
  return lanes;
}
constexpr auto kFirstHalf = interleave(0);
constexpr auto kSecondHalf = interleave(kLanes);

}  // namespace

ASSAY_VNNI void pack_keys(const Rows& keys, std::int64_t head_dim, std::uint32_t* out) {
  const std::int64_t units = head_dim / kBf16Unit;
  for (std::int64_t key = 0; key < std::int64_t{kTile}; key += kLanes) {
    std::uint32_t* panel = out + key / kPanel * units * kPanel + key % kPanel;
    const std::int64_t present = std::clamp<std::int64_t>(keys.count - key, 0, kLanes);
    for (std::int64_t unit = 0; unit < units; unit += kLanes) {
      __m512i square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        square[i] =
            i < present
                ? _mm512_loadu_si512(keys.first + (key + i) * keys.stride + unit * kBf16Unit)
                : _mm512_setzero_si512();
      }
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        _mm512_storeu_si512(panel + (unit + i) * kPanel, square[i]);
      }
    }
  }
}

ASSAY_VNNI bool pack_values(const Rows& values, std::int64_t head_dim, std::uint32_t* out) {
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  __mmask32 bad = 0;
  const __m512i first_half = _mm512_loadu_si512(kFirstHalf.data());
  const __m512i second_half = _mm512_loadu_si512(kSecondHalf.data());
  constexpr std::int64_t kPairs = kTile / 2;
  for (std::int64_t pair = 0; pair < kPairs; ++pair) {
    const std::uint16_t* row = values.first + 2 * pair * values.stride;
    for (std::int64_t i = 0; i < head_dim; i += kPanel) {
      const __m512i zero = _mm512_setzero_si512();
      const __m512i even = 2 * pair < values.count ? _mm512_loadu_si512(row + i) : zero;
      const __m512i odd =
          2 * pair + 1 < values.count ? _mm512_loadu_si512(row + values.stride + i) : zero;
      bad |= _mm512_cmpeq_epi16_mask(_mm512_and_si512(even, exponent), exponent) |
             _mm512_cmpeq_epi16_mask(_mm512_and_si512(odd, exponent), exponent);
      std::uint32_t* to = out + (i / kPanel * kPairs + pair) * kPanel;
      _mm512_storeu_si512(to, _mm512_permutex2var_epi16(even, first_half, odd));
      _mm512_storeu_si512(to + kLanes, _mm512_permutex2var_epi16(even, second_half, odd));
    }
  }
  return bad == 0;
}

ASSAY_VNNI void split_row(const float* values, std::uint16_t* high, std::uint16_t* low) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kTile; i += kLanes) {
    const __m512 value = _mm512_loadu_ps(values + i);
    const auto rounded = (__m256i)_mm512_cvtneps_pbh(value);
    const __m512 kept = widened(rounded);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high + i), rounded);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low + i),
                        (__m256i)_mm512_cvtneps_pbh(_mm512_sub_ps(value, kept)));
  }
}

}  // namespace assay::kernels::cpu::amx

#endif
