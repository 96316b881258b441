#if defined(__x86_64__)

#include <array>

#include "kernels/cpu/vnni/vnni.h"

// One row against a panel of 4-bit codes. A weight is round_bf16(table[code] * scale + minimum),
// and the rounding belongs to the 16 values of a block's column, not to its weights: they are made
// once, and a word permutation finds 32 weights in them.
//
// Depths go in steps of 64: eight units, turned so that a vector holds two columns. Its 128-bit
// parts are units 0 to 3 of column c, of column c + 4, units 4 to 7 of column c, of column c + 4;
// its words of 16 bits hold four depths, one nibble each, and nibble g of all words is group g. Two
// columns have 32 values, which is what VPERMW reads; blocks of 32 depths have two such tables a
// step. Every column has sums of its own, folded at the end of the panel.
namespace assay::kernels::cpu::vnni {
namespace {

constexpr std::int64_t kStep = 64;   ///< depths
constexpr std::int64_t kGroups = 4;  ///< nibbles of a word
constexpr std::int64_t kUnitBytes = kPanel * 4;
constexpr std::int64_t kQuarters = 4;  ///< of a panel: eight columns in four vectors
constexpr std::int64_t kQuarter = kPanel / kQuarters;
constexpr std::int64_t kAhead = 2048;                 ///< bytes; further ahead gave no more
constexpr std::int64_t kStepElements = kGroups * 32;  ///< of arranged x

struct Constants {
  __m512 table;
  __m512i nibbles;  ///< 15 in every byte
  __m512i column;   ///< bit 4 of an index: which of the two columns a part belongs to
};

/// Depth within a step of each word's lowest nibble: x of group 0.
constexpr auto kFirstGroup = [] {
  std::array<std::uint16_t, 32> depths{};
  for (std::size_t w = 0; w < 32; ++w) {
    depths[w] = static_cast<std::uint16_t>(w / 16 * 32 + w % 8 * kGroups);
  }
  return depths;
}();

/// Scales and minima of one step at a panel's first column.
struct StepScales {
  const float* scales;
  const float* minima;
  std::int64_t next;  ///< to those of the second half, where it has its own
};

/// Eight columns of a unit and of the fourth one behind it.
template <bool Whole>
ASSAY_VNNI_INLINE __m512i load_halves(const std::byte* unit) {
  if constexpr (!Whole) return _mm512_maskz_loadu_epi64(0x0f, unit);
  const __m256i low = _mm256_loadu_si256((const __m256i*)unit);
  const __m256i high = _mm256_loadu_si256((const __m256i*)(unit + 4 * kUnitBytes));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/// Eight columns of a step's units: vector j has columns j and j + 4. Without the whole step, units
/// 4 to 7 are code 0.
template <bool Whole>
ASSAY_VNNI_INLINE void turn(const std::byte* codes, __m512i (&out)[4]) {
  const __m512i r0 = load_halves<Whole>(codes), r1 = load_halves<Whole>(codes + kUnitBytes);
  const __m512i r2 = load_halves<Whole>(codes + 2 * kUnitBytes);
  const __m512i r3 = load_halves<Whole>(codes + 3 * kUnitBytes);
  const __m512i low01 = _mm512_unpacklo_epi32(r0, r1), high01 = _mm512_unpackhi_epi32(r0, r1);
  const __m512i low23 = _mm512_unpacklo_epi32(r2, r3), high23 = _mm512_unpackhi_epi32(r2, r3);
  out[0] = _mm512_unpacklo_epi64(low01, low23);
  out[1] = _mm512_unpackhi_epi64(low01, low23);
  out[2] = _mm512_unpacklo_epi64(high01, high23);
  out[3] = _mm512_unpackhi_epi64(high01, high23);
}

template <bool Minima>
ASSAY_VNNI_INLINE __m512 values(__m512 table, const float* scale, const float* minimum) {
  const __m512 factor = _mm512_set1_ps(*scale);
  return Minima ? _mm512_fmadd_ps(table, factor, _mm512_set1_ps(*minimum))
                : _mm512_mul_ps(table, factor);
}

/// The 32 weights that columns c and c + 4 can have.
template <bool Minima>
ASSAY_VNNI_INLINE __m512i weights_of(const Constants& k, const float* scales, const float* minima) {
  return (__m512i)_mm512_cvtne2ps_pbh(values<Minima>(k.table, scales + 4, minima + 4),
                                      values<Minima>(k.table, scales, minima));
}

template <bool TwoBlocks, bool Minima>
struct Weights {
  __m512i first, second;  ///< of the step's halves

  ASSAY_VNNI_INLINE Weights(const Constants& k, const StepScales& s, std::int64_t column) {
    first = weights_of<Minima>(k, s.scales + column, s.minima + column);
    if constexpr (TwoBlocks) {
      second = weights_of<Minima>(k, s.scales + s.next + column, s.minima + s.next + column);
    }
  }
  [[nodiscard]] ASSAY_VNNI_INLINE __m512i find(__m512i index) const {
    const __m512i found = _mm512_permutexvar_epi16(index, first);
    if constexpr (!TwoBlocks) return found;
    return _mm512_mask_permutexvar_epi16(found, 0xffff0000U, index, second);
  }
};

ASSAY_VNNI_INLINE __m512 add(__m512 sum, __m512i weights, const std::byte* x) {
  return _mm512_dpbf16_ps(sum, (__m512bh)weights, (__m512bh)_mm512_loadu_si512(x));
}

/// 64 depths of two columns; VPERMW reads the lowest five bits of a word.
template <class AnyWeights>
ASSAY_VNNI_INLINE __m512 multiply_two(__m512 sum, __m512i words, const AnyWeights& weights,
                                      const Constants& k, const std::byte* x) {
  constexpr int kAndOr = 0xea;
  const __m512i even = _mm512_ternarylogic_epi32(words, k.nibbles, k.column, kAndOr);
  const __m512i odd =
      _mm512_ternarylogic_epi32(_mm512_srli_epi16(words, 4), k.nibbles, k.column, kAndOr);
  sum = add(sum, weights.find(even), x);
  sum = add(sum, weights.find(odd), x + 64);
  sum = add(sum, weights.find(_mm512_srli_epi16(even, 8)), x + 128);
  return add(sum, weights.find(_mm512_srli_epi16(odd, 8)), x + 192);
}

template <bool Whole, bool TwoBlocks, bool Minima>
ASSAY_VNNI_INLINE void step(const std::byte* codes, const StepScales& scales, const Constants& k,
                            const std::byte* x, __m512 (&sums)[kQuarters][4]) {
#pragma GCC unroll 4
  for (int q = 0; q < kQuarters; ++q) {
    __m512i words[4];
    turn<Whole>(codes + q * kQuarter * 4, words);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Weights<TwoBlocks, Minima> weights(k, scales, q * kQuarter + j);
      sums[q][j] = multiply_two(sums[q][j], words[j], weights, k, x);
    }
  }
}

/// The two columns' sums over depths: parts 0 and 2 of a vector, parts 1 and 3.
ASSAY_VNNI_INLINE __m256 halves(__m512 sums) {
  return _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, sums, 0),
                       _mm512_maskz_extractf32x8_ps(0xff, sums, 1));
}

ASSAY_VNNI_INLINE void fold(const __m512 (&sums)[4], float* acc) {
  const __m256 first = _mm256_hadd_ps(halves(sums[0]), halves(sums[1]));
  const __m256 second = _mm256_hadd_ps(halves(sums[2]), halves(sums[3]));
  _mm256_storeu_ps(acc, _mm256_hadd_ps(first, second));
}

ASSAY_VNNI_INLINE void read_ahead(const std::byte* codes) {
#pragma GCC unroll 16
  for (int line = 0; line < 16; ++line) {
    _mm_prefetch((const char*)codes + kAhead + line * 64, _MM_HINT_T0);
  }
}

template <bool TwoBlocks, bool Minima>
[[gnu::noinline]] ASSAY_VNNI void run(const PanelSource& s, const void* x, std::int64_t k,
                                      float* acc) {
  const Constants constants{_mm512_loadu_ps(s.table), _mm512_set1_epi8(0xf),
                            _mm512_maskz_set1_epi8(0xffff0000ffff0000ULL, 0x10)};
  const auto* row = static_cast<const std::byte*>(x);
  const std::byte* codes = s.codes;
  StepScales scales{s.scales, Minima ? s.minima : s.scales, s.scale_stride};
  const std::int64_t advance = s.scale_stride * (TwoBlocks ? 2 : 1);
  __m512 sums[kQuarters][4];
#pragma GCC unroll 4
  for (auto& quarter : sums) {
#pragma GCC unroll 4
    for (__m512& sum : quarter) sum = _mm512_setzero_ps();
  }
  for (std::int64_t steps = k / kStep; steps > 0; --steps) {
    read_ahead(codes);
    step<true, TwoBlocks, Minima>(codes, scales, constants, row, sums);
    codes += kStep / kNibbleUnit * kUnitBytes;
    row += kStepElements * 2;
    scales.scales += advance;
    scales.minima += advance;
  }
  if (k % kStep != 0) step<false, false, Minima>(codes, scales, constants, row, sums);
#pragma GCC unroll 4
  for (int q = 0; q < kQuarters; ++q) fold(sums[q], acc + q * kQuarter);
}

/// Blocks are of 64 depths or of 32.
template <bool Minima>
ASSAY_VNNI void run_any(const PanelSource& s, const void* x, std::int64_t k, float* acc) {
  return s.block == kStep ? run<false, Minima>(s, x, k, acc) : run<true, Minima>(s, x, k, acc);
}

}  // namespace

std::int64_t arranged_depth(std::int64_t k) { return round_up(k, kStep) * 2; }

ASSAY_VNNI void arrange_row(const void* x, std::int64_t k, void* out) {
  const auto* from = static_cast<const std::uint16_t*>(x);
  auto* to = static_cast<std::byte*>(out);
  const __m512i first = _mm512_loadu_si512(kFirstGroup.data());
  for (std::int64_t i = 0; i < k; i += kStep) {
    const std::int64_t left = k - i;
    const std::uint64_t mask = left >= kStep ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    const __m512i low = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(mask), from + i);
    const __m512i high =
        _mm512_maskz_loadu_epi16(static_cast<__mmask32>(mask >> 32), from + i + 32);
    for (std::int16_t group = 0; group < kGroups; ++group, to += 64) {
      const __m512i depths = _mm512_add_epi16(first, _mm512_set1_epi16(group));
      _mm512_storeu_si512(to, _mm512_permutex2var_epi16(low, depths, high));
    }
  }
}

ASSAY_VNNI void single_nibbles(const PanelSource& s, const void* x, std::int64_t k, float* acc) {
  run_any<false>(s, x, k, acc);
}
ASSAY_VNNI void single_nibbles_minima(const PanelSource& s, const void* x, std::int64_t k,
                                      float* acc) {
  run_any<true>(s, x, k, acc);
}

}  // namespace assay::kernels::cpu::vnni

#endif
