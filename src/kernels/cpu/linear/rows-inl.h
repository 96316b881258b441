// Rows in and out: activations to f32, sums to outputs. Compiled once for each target.
#if defined(ASSAY_KERNELS_CPU_LINEAR_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_ROWS_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_ROWS_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_ROWS_INL_H_
#endif

#include <cstring>

#include "kernels/cpu/linear/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

using tensor::DType;
using U16Half = hn::Rebind<std::uint16_t, F32>;

// One vector of each floating type, in f32.
HWY_INLINE VecF load_values(const float* from) { return hn::LoadU(F32(), from); }
HWY_INLINE VecF load_bf16(const std::uint16_t* from) {
  const U32 du;
  const VecU wide = hn::PromoteTo(du, hn::LoadU(U16Half(), from));
  return hn::BitCast(F32(), hn::ShiftLeft<16>(wide));
}
HWY_INLINE VecF load_f16(const std::uint16_t* from) {
#if HWY_TARGET == HWY_SCALAR
  tensor::Float16 half;
  half.bits = *from;
  return hn::Set(F32(), static_cast<float>(half));
#else
  const hn::Rebind<hwy::float16_t, F32> dh;
  return hn::PromoteTo(F32(), hn::BitCast(dh, hn::LoadU(U16Half(), from)));
#endif
}

/// f32 bits rounded to nearest even at bit 16; NaN may become anything.
HWY_INLINE VecU bf16_rounded_bits(VecF value) {
  const U32 du;
  const VecU bits = hn::BitCast(du, value);
  const VecU odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  return hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
}

/// Weights are finite: no care for NaN.
template <DType Compute>
HWY_INLINE VecF round_finite(VecF value) {
  if constexpr (Compute == DType::bf16) {
    return hn::BitCast(F32(), hn::And(bf16_rounded_bits(value), hn::Set(U32(), 0xffff0000U)));
  } else if constexpr (Compute == DType::f16) {
#if HWY_TARGET == HWY_SCALAR
    return hn::Set(F32(), tensor::rounded<tensor::Float16>(hn::GetLane(value)));
#else
    const hn::Rebind<hwy::float16_t, F32> dh;
    return hn::PromoteTo(F32(), hn::DemoteTo(dh, value));
#endif
  } else {
    return value;
  }
}

/// The same for values that are 0 or between 2^-100 and 2^100: to nearest even by two subtractions
/// (Veltkamp's splitting; compared with the above for all mantissas).
template <DType Compute>
HWY_INLINE VecF round_moderate(VecF value) {
  if constexpr (Compute == DType::bf16) {
    const VecF spread = hn::Mul(value, hn::Set(F32(), 0x1.0p16F + 1.0F));
    return hn::Sub(spread, hn::Sub(spread, value));
  } else {
    return round_finite<Compute>(value);
  }
}

HWY_INLINE VecF keep_nan(VecF value, VecF result) {
  const F32 d;
  return hn::IfThenElse(hn::Eq(value, value), result, hn::NaN(d));
}

HWY_INLINE VecF round_any(VecF value, DType compute) {
  if (compute == DType::bf16) return keep_nan(value, round_finite<DType::bf16>(value));
  if (compute == DType::f16) return keep_nan(value, round_finite<DType::f16>(value));
  return value;
}

HWY_INLINE void store_values(VecF value, float* to) { hn::StoreU(value, F32(), to); }
HWY_INLINE void store_bf16(VecF value, std::uint16_t* to) {
  const VecF kept = keep_nan(value, hn::BitCast(F32(), bf16_rounded_bits(value)));
  const VecI high = hn::BitCast(I32(), hn::ShiftRight<16>(hn::BitCast(U32(), kept)));
  hn::StoreU(hn::DemoteTo(U16Half(), high), U16Half(), to);
}
HWY_INLINE void store_f16(VecF value, std::uint16_t* to) {
#if HWY_TARGET == HWY_SCALAR
  *to = tensor::Float16(hn::GetLane(value)).bits;
#else
  const hn::Rebind<hwy::float16_t, F32> dh;
  hn::StoreU(hn::BitCast(U16Half(), hn::DemoteTo(dh, value)), U16Half(), to);
#endif
}

template <typename T, VecF (*LoadVector)(const T*)>
HWY_INLINE void load_row_as(const LoadRow& row) {
  const auto* x = static_cast<const T*>(row.x);
  auto* out = static_cast<float*>(row.out);
  std::int64_t i = 0;
  for (; i + kLanes <= row.k; i += kLanes) {
    store_values(round_any(LoadVector(x + i), row.compute), out + i);
  }
  const std::int64_t left = row.k - i;
  if (left > 0) {  // reading beyond the row is not allowed
    alignas(64) T in[kLanes] = {};
    alignas(64) float rounded[kLanes];
    std::memcpy(in, x + i, static_cast<std::size_t>(left) * sizeof(T));
    store_values(round_any(LoadVector(in), row.compute), rounded);
    std::memcpy(out + i, rounded, static_cast<std::size_t>(left) * sizeof(float));
  }
  for (i = row.k; i < row.k_padded; ++i) out[i] = 0.0F;
}

inline void load_row_f32(const LoadRow& row) {
  if (row.type == DType::bf16) return load_row_as<std::uint16_t, load_bf16>(row);
  if (row.type == DType::f16) return load_row_as<std::uint16_t, load_f16>(row);
  load_row_as<float, load_values>(row);
}

inline void half_to_float(const std::uint16_t* in, std::int64_t count, float* out) {
  // Counts are whole panels.
  for (std::int64_t i = 0; i < count; i += kLanes) store_values(load_f16(in + i), out + i);
}

inline void scale_bytes(const std::int8_t* bytes, const float* factor, float* out) {
  const F32 d;
  for (std::int64_t c = 0; c < kPanel; c += kLanes) {
    const hn::Rebind<std::int8_t, F32> db;
    const VecF value = hn::ConvertTo(d, hn::PromoteTo(I32(), hn::LoadU(db, bytes + c)));
    store_values(hn::Mul(value, hn::LoadU(d, factor + c)), out + c);
  }
}

template <typename T, void (*StoreVector)(VecF, T*)>
HWY_INLINE void finish_as(const Finish& f) {
  const F32 d;
  alignas(64) float bias[kPanel] = {};
  alignas(64) float scale[kPanel];
  for (std::int64_t c = 0; c < kPanel; ++c) {
    if (f.bias != nullptr && c < f.columns) bias[c] = f.bias[c];
    scale[c] = f.column_scales != nullptr ? f.column_scales[c] * f.factor : 1.0F;
  }
  for (std::int64_t r = 0; r < f.rows; ++r) {
    T* y = reinterpret_cast<T*>(f.y) + r * f.y_stride;
    alignas(64) T last[kPanel];
    T* to = f.columns == kPanel ? y : last;
    for (int v = 0; v < kPanelVectors; ++v) {
      VecF value = hn::Load(d, f.acc + r * kPanel + v * kLanes);
      if (f.column_scales != nullptr) value = hn::Mul(value, hn::Load(d, scale + v * kLanes));
      if (f.bias != nullptr) value = hn::Add(value, hn::Load(d, bias + v * kLanes));
      StoreVector(value, to + v * kLanes);
    }
    if (to == last) std::memcpy(y, last, static_cast<std::size_t>(f.columns) * sizeof(T));
  }
}

inline void finish_rows(const Finish& finish) {
  if (finish.y_type == DType::bf16) return finish_as<std::uint16_t, store_bf16>(finish);
  if (finish.y_type == DType::f16) return finish_as<std::uint16_t, store_f16>(finish);
  finish_as<float, store_values>(finish);
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
