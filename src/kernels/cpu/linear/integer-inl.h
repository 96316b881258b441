// Integer tiles without instructions for 8-bit dot products, compiled once for each target.
//
// VPMADDUBSW multiplies unsigned bytes by signed ones and adds neighbours in 16 bits, where it
// saturates: at 255 * 127 * 2 it would. So x is split into magnitudes of seven bits and signs, and
// the sign is moved to the weight: 127 * 128 * 2 fits. Negation of w is ~w + 1; the ones are left
// out, and what sums have too little, the magnitudes of negative codes, is known for each row.
#if defined(ASSAY_KERNELS_CPU_LINEAR_INTEGER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_INTEGER_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_INTEGER_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_INTEGER_INL_H_
#endif

#include "kernels/cpu/linear/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

/// Bytes of a split unit of x: four magnitudes, then four masks. A mask also takes kByteOffset out
/// of the weights that it is applied to.
constexpr std::int64_t kSplitUnit = 2 * kByteUnit;

/// int8_ops::split.
inline std::int32_t split_codes(const std::int8_t* codes, std::int64_t k_padded,
                                std::uint8_t* out) {
  std::int64_t negative = 0;
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::Repartition<std::int8_t, I32> d8;
  const hn::Repartition<std::uint8_t, I32> du8;
  const hn::Repartition<std::uint64_t, I32> d64;
  constexpr std::int64_t kStep = 4 * kLanes;
  const auto offset = hn::Set(du8, kByteOffset);
  auto sums = hn::Zero(d64);
  for (; i + kStep <= k_padded; i += kStep) {
    const auto code = hn::LoadU(d8, codes + i);
    const auto sign = hn::BitCast(du8, hn::VecFromMask(d8, hn::Lt(code, hn::Zero(d8))));
    const auto magnitude = hn::BitCast(du8, hn::Abs(code));
    sums = hn::Add(sums, hn::SumsOf8(hn::And(magnitude, sign)));
    hn::StoreInterleaved2(hn::BitCast(U32(), magnitude), hn::BitCast(U32(), hn::Xor(sign, offset)),
                          U32(), reinterpret_cast<std::uint32_t*>(out + 2 * i));
  }
  negative = static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d64, sums)));
#endif
  for (; i < k_padded; ++i) {
    std::uint8_t* to = out + i / kByteUnit * kSplitUnit + i % kByteUnit;
    const std::int8_t code = codes[i];
    to[0] = static_cast<std::uint8_t>(code < 0 ? -code : code);
    to[kByteUnit] = code < 0 ? 0xff ^ kByteOffset : kByteOffset;
    if (code < 0) negative -= code;
  }
  return static_cast<std::int32_t>(-negative);
}

/// Loaded as a float, because that is one instruction that repeats it in every lane; two integers
/// next to each other become one load, a shift and two moves.
HWY_INLINE VecU repeated(const std::uint8_t* x) {
  float bits;
  std::memcpy(&bits, x, sizeof(bits));
  return hn::BitCast(U32(), hn::Set(F32(), bits));
}

/// sum + the products of four depths, weights with their signs moved.
HWY_INLINE VecI add_unit(VecI sum, VecU magnitude, VecU w) {
#if HWY_TARGET == HWY_AVX2
  const __m256i pairs = _mm256_maddubs_epi16(magnitude.raw, w.raw);
  return VecI{_mm256_add_epi32(sum.raw, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
#elif HWY_TARGET == HWY_AVX3
  const __m512i pairs = _mm512_maddubs_epi16(magnitude.raw, w.raw);
  return VecI{_mm512_add_epi32(sum.raw, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
#else
  for (int j = 0; j < kByteUnit; ++j) {
    const int shift = 24 - 8 * j;
    const VecI code = hn::ShiftRight<24>(hn::BitCast(I32(), hn::ShiftLeftSame(w, shift)));
    const VecU x = hn::ShiftRight<24>(hn::ShiftLeftSame(magnitude, shift));
    sum = hn::Add(sum, hn::Mul(code, hn::BitCast(I32(), x)));
  }
  return sum;
#endif
}

template <int Rows, int Vectors>
HWY_INLINE void integer_tile(const std::uint8_t* x, std::int64_t stride, const std::uint32_t* panel,
                             std::int64_t units, std::int32_t* acc) {
  const I32 di;
  VecI sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) sums[r][v] = hn::Zero(di);
  }
  for (std::int64_t u = 0; u < units; ++u, panel += kPanel) {
    VecU w[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) w[v] = hn::Load(U32(), panel + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const std::uint8_t* unit = x + r * stride + u * kSplitUnit;
      const VecU magnitude = repeated(unit);
      const VecU mask = repeated(unit + kByteUnit);
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) {
        sums[r][v] = add_unit(sums[r][v], magnitude, hn::Xor(w[v], mask));
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) hn::Store(sums[r][v], di, acc + r * kPanel + v * kLanes);
  }
}

// Sums in 12 of 16 registers or 24 of 32, over all columns of a panel where it is a few vectors.
constexpr int kIntegerVectors = HWY_MIN(kPanelVectors, 4);
constexpr int kIntegerRows = HWY_TARGET == HWY_AVX3 ? 12 : HWY_TARGET == HWY_AVX2 ? 3 : 1;

template <int Rows>
HWY_NOINLINE void integer_rows(const std::uint8_t* x, std::int64_t stride,
                               const std::uint32_t* panel, std::int64_t units, std::int32_t* acc) {
  for (int v = 0; v < kPanelVectors; v += kIntegerVectors) {
    integer_tile<Rows, kIntegerVectors>(x, stride, panel + v * kLanes, units, acc + v * kLanes);
  }
}

template <int Rows>
HWY_INLINE void choose_integer_rows(std::int64_t rows, const std::uint8_t* x, std::int64_t stride,
                                    const std::uint32_t* panel, std::int64_t units,
                                    std::int32_t* acc) {
  if (rows == Rows) return integer_rows<Rows>(x, stride, panel, units, acc);
  if constexpr (Rows > 1) choose_integer_rows<Rows - 1>(rows, x, stride, panel, units, acc);
}

/// Split codes of x against a panel of unsigned codes; rows go into tiles of nearly equal height.
inline void multiply_integers(const IntegerBlock& block) {
  const auto* x = static_cast<const std::uint8_t*>(block.x);
  const auto* panel = reinterpret_cast<const std::uint32_t*>(block.panel);
  std::int32_t* acc = block.acc;
  std::int64_t left = block.rows;
  for (std::int64_t tiles = (left + kIntegerRows - 1) / kIntegerRows; tiles > 0; --tiles) {
    const std::int64_t rows = (left + tiles - 1) / tiles;
    choose_integer_rows<kIntegerRows>(rows, x, block.x_stride, panel, block.k / kByteUnit, acc);
    x += rows * block.x_stride;
    acc += rows * kPanel;
    left -= rows;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
