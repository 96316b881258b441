// Row quantization and scales of LLM.int8(), compiled once for each target.
#if defined(ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_INT8_INL_H_
#endif

#include "kernels/cpu/linear/integer-inl.h"

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

inline void rescale(const std::int32_t* acc, std::int64_t rows, const std::int32_t* excess,
                    const float* row_scales, const float* column_scales, float* out) {
  const F32 d;
  const I32 di;
  for (std::int64_t r = 0; r < rows; ++r) {
    const VecI too_much = hn::Set(di, excess[r]);
    const VecF row_scale = hn::Set(d, row_scales[r] * precision::kInverse127Squared);
    for (int v = 0; v < kPanelVectors; ++v) {
      const std::int64_t at = r * kPanel + v * kLanes;
      const VecF sum = hn::ConvertTo(d, hn::Sub(hn::Load(di, acc + at), too_much));
      const VecF scale = hn::Mul(row_scale, hn::Load(d, column_scales + v * kLanes));
      hn::Store(hn::MulAdd(sum, scale, hn::Load(d, out + at)), d, out + at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
