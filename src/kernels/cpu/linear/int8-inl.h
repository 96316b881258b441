// Row quantization and integer tiles of LLM.int8(), compiled once for each target.
#if defined(ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_
#endif

#include "kernels/cpu/linear/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

inline void column_max(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t begin,
                       std::int64_t end, float* out) {
  const F32 d;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * stride;
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const VecF value = hn::Abs(hn::LoadU(d, row + i));
      const VecF most = hn::LoadU(d, out + i);
      hn::StoreU(hn::IfThenElse(hn::Gt(value, most), value, most), d, out + i);
    }
    for (; i < end; ++i) {
      const float value = row[i] < 0.0F ? -row[i] : row[i];
      if (value > out[i]) out[i] = value;
    }
  }
}

/// Compares bit patterns without sign: NaN is above infinity, infinity above every number.
inline float absmax(const float* x, std::int64_t k) {
  const I32 di;
  const VecI magnitude = hn::Set(di, 0x7fffffff);
  VecI most = hn::Zero(di);
  std::int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    most = hn::Max(most, hn::And(hn::BitCast(di, hn::LoadU(F32(), x + i)), magnitude));
  }
  std::int32_t result = hn::GetLane(hn::MaxOfLanes(di, most));
  for (; i < k; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, x + i, sizeof(bits));
    bits &= 0x7fffffff;
    if (bits > result) result = bits;
  }
  float value;
  std::memcpy(&value, &result, sizeof(value));
  return value;
}

inline std::int32_t quantize_row(const float* x, std::int64_t k, std::int64_t k_padded, float scale,
                                 std::int8_t* codes) {
  const F32 d;
  const I32 di;
  const hn::Rebind<std::int8_t, F32> d8;
  const VecF factor = hn::Set(d, scale);
  VecI sum = hn::Zero(di);
  std::int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    const VecI code = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), factor));
    sum = hn::Add(sum, code);
    hn::StoreU(hn::DemoteTo(d8, code), d8, codes + i);
  }
  if (i < k) {
    alignas(64) float left[kLanes] = {};
    alignas(64) std::int8_t last[kLanes];
    std::memcpy(left, x + i, static_cast<std::size_t>(k - i) * sizeof(float));
    const VecI code = hn::NearestInt(hn::Mul(hn::Load(d, left), factor));
    sum = hn::Add(sum, code);
    hn::StoreU(hn::DemoteTo(d8, code), d8, last);
    std::memcpy(codes + i, last, static_cast<std::size_t>(k - i));
  }
  for (i = k; i < k_padded; ++i) codes[i] = 0;
  return hn::GetLane(hn::SumOfLanes(di, sum));
}

inline void widen_codes(const std::int8_t* codes, std::int64_t k_padded, std::int16_t* out) {
  for (std::int64_t i = 0; i < k_padded; i += kByteUnit) {
    out[i] = codes[i];
    out[i + 1] = codes[i + 2];
    out[i + 2] = codes[i + 1];
    out[i + 3] = codes[i + 3];
  }
}

#if HWY_TARGET == HWY_SCALAR

/// Sums of one unit of four depths: one multiplication each.
struct UnitWeights {
  VecI code[4];
  explicit HWY_INLINE UnitWeights(VecU word) {
    const U32 du;
    const VecU mask = hn::Set(du, 0xff);
    code[0] = hn::BitCast(I32(), hn::And(word, mask));
    code[1] = hn::BitCast(I32(), hn::And(hn::ShiftRight<16>(word), mask));
    code[2] = hn::BitCast(I32(), hn::And(hn::ShiftRight<8>(word), mask));
    code[3] = hn::BitCast(I32(), hn::ShiftRight<24>(word));
  }
};
struct UnitCodes {
  VecI code[4];
  explicit HWY_INLINE UnitCodes(const std::int16_t* x) {
    for (int j = 0; j < 4; ++j) code[j] = hn::Set(I32(), x[j]);
  }
};
HWY_INLINE VecI add_unit(VecI sum, const UnitWeights& w, const UnitCodes& x) {
  for (int j = 0; j < 4; ++j) sum = hn::Add(sum, hn::Mul(w.code[j], x.code[j]));
  return sum;
}
constexpr int kIntegerRows = 1;

#else

using I16 = hn::Repartition<std::int16_t, I32>;
using U16 = hn::Repartition<std::uint16_t, I32>;

/// Depths 0 and 2, then 1 and 3, as pairs of 16 bits: products of pairs are summed in 32 bits, and
/// nothing saturates.
struct UnitWeights {
  hn::Vec<I16> even;
  hn::Vec<I16> odd;
  explicit HWY_INLINE UnitWeights(VecU word) {
    const U16 du;
    const hn::Vec<U16> pairs = hn::BitCast(du, word);
    even = hn::BitCast(I16(), hn::And(pairs, hn::Set(du, 0xff)));
    odd = hn::BitCast(I16(), hn::ShiftRight<8>(pairs));
  }
};
struct UnitCodes {
  hn::Vec<I16> even;
  hn::Vec<I16> odd;
  explicit HWY_INLINE UnitCodes(const std::int16_t* x) {
    std::int32_t pairs[2];
    std::memcpy(pairs, x, sizeof(pairs));
    even = hn::BitCast(I16(), hn::Set(I32(), pairs[0]));
    odd = hn::BitCast(I16(), hn::Set(I32(), pairs[1]));
  }
};
HWY_INLINE VecI add_unit(VecI sum, const UnitWeights& w, const UnitCodes& x) {
  const I32 di;
  VecI other = hn::Zero(di);
  sum = hn::ReorderWidenMulAccumulate(di, w.even, x.even, sum, other);
  sum = hn::ReorderWidenMulAccumulate(di, w.odd, x.odd, sum, other);
  return hn::RearrangeToOddPlusEven(sum, other);
}
constexpr int kIntegerRows = HWY_TARGET == HWY_AVX3 ? 8 : 4;

#endif

template <int Rows, int Vectors>
HWY_INLINE void integer_tile(const std::int16_t* x, std::int64_t stride, const std::uint32_t* panel,
                             std::int64_t k, std::int32_t* acc) {
  const I32 di;
  VecI sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) sums[r][v] = hn::Zero(di);
  }
  for (std::int64_t i = 0; i < k; i += kByteUnit) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      const UnitWeights w(hn::Load(U32(), panel + i / kByteUnit * kPanel + v * kLanes));
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        sums[r][v] = add_unit(sums[r][v], w, UnitCodes(x + r * stride + i));
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) hn::Store(sums[r][v], di, acc + r * kPanel + v * kLanes);
  }
}

template <int Rows>
HWY_NOINLINE void integer_rows(const std::int16_t* x, std::int64_t stride,
                               const std::uint32_t* panel, std::int64_t k, std::int32_t* acc) {
  constexpr int kVectors = Rows == 1 ? kWideVectors : HWY_MIN(2, kPanelVectors);
  for (int v = 0; v < kPanelVectors; v += kVectors) {
    integer_tile<Rows, kVectors>(x, stride, panel + v * kLanes, k, acc + v * kLanes);
  }
}

template <int Rows>
HWY_INLINE void choose_integer_rows(std::int64_t rows, const std::int16_t* x, std::int64_t stride,
                                    const std::uint32_t* panel, std::int64_t k, std::int32_t* acc) {
  if (rows == Rows) return integer_rows<Rows>(x, stride, panel, k, acc);
  if constexpr (Rows > 1) choose_integer_rows<Rows - 1>(rows, x, stride, panel, k, acc);
}

/// Codes in int16 (widen_codes) against unsigned codes of weights.
inline void multiply_integers(const IntegerBlock& block) {
  const auto* x = static_cast<const std::int16_t*>(block.x);
  const auto* panel = reinterpret_cast<const std::uint32_t*>(block.panel);
  std::int32_t* acc = block.acc;
  for (std::int64_t left = block.rows; left > 0;) {
    const std::int64_t rows = HWY_MIN(left, kIntegerRows);
    choose_integer_rows<kIntegerRows>(rows, x, block.x_stride, panel, block.k, acc);
    x += rows * block.x_stride;
    acc += rows * kPanel;
    left -= rows;
  }
}

inline void outlier_weights(const std::byte* panel, const float* column_scales,
                            const std::int32_t* columns, std::int64_t count, float* out) {
  const F32 d;
  const U32 du;
  const auto* words = reinterpret_cast<const std::uint32_t*>(panel);
  const VecF factor = hn::Set(d, precision::kInverse127);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t unit = columns[i] / kByteUnit;
    const int shift = static_cast<int>(columns[i] % kByteUnit) * 8;
    for (int v = 0; v < kPanelVectors; ++v) {
      const VecU word = hn::Load(du, words + unit * kPanel + v * kLanes);
      const VecU byte = hn::And(hn::ShiftRightSame(word, shift), hn::Set(du, 0xff));
      const VecI code = hn::Sub(hn::BitCast(I32(), byte), hn::Set(I32(), kByteOffset));
      const VecF scaled = hn::Mul(hn::ConvertTo(d, code), hn::Load(d, column_scales + v * kLanes));
      hn::Store(hn::Mul(scaled, factor), d, out + i * kPanel + v * kLanes);
    }
  }
}

inline void rescale(const std::int32_t* acc, std::int64_t rows, const std::int32_t* row_sums,
                    const float* row_scales, const float* column_scales, float* out) {
  const F32 d;
  const I32 di;
  for (std::int64_t r = 0; r < rows; ++r) {
    // Weights were stored with kByteOffset added.
    const VecI excess = hn::Set(di, kByteOffset * row_sums[r]);
    const VecF row_scale = hn::Set(d, row_scales[r] * precision::kInverse127Squared);
    for (int v = 0; v < kPanelVectors; ++v) {
      const std::int64_t at = r * kPanel + v * kLanes;
      const VecF sum = hn::ConvertTo(d, hn::Sub(hn::Load(di, acc + at), excess));
      const VecF scale = hn::Mul(row_scale, hn::Load(d, column_scales + v * kLanes));
      hn::Store(hn::MulAdd(sum, scale, hn::Load(d, out + at)), d, out + at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
