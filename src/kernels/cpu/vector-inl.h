// Vector helpers of the kernels that Highway compiles once per target: conversion between f32 and
// the stored types, and the functions of the activations. Included after <hwy/highway.h>, once per
// target, hence no #pragma once.

#include <hwy/highway.h>

#include <cstddef>
#include <cstring>

#include "tensor/tensor.h"

#if defined(ASSAY_KERNELS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_VECTOR_INL_H_
#undef ASSAY_KERNELS_CPU_VECTOR_INL_H_
#else
#define ASSAY_KERNELS_CPU_VECTOR_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;
using HalfTag = hn::Rebind<std::uint16_t, FloatTag>;

/// Upper bound of the lanes of a vector, for arrays on the stack.
inline constexpr std::size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);

/// The next multiple of the number of lanes.
HWY_INLINE std::size_t PadToLanes(std::size_t n) {
  const std::size_t lanes = hn::Lanes(FloatTag());
  return (n + lanes - 1) / lanes * lanes;
}

/// min(lanes, remaining) elements from `p`; the other lanes are zero.
HWY_INLINE FloatVec LoadUpTo(FloatTag d, const float* p, std::size_t remaining) {
  return remaining >= hn::Lanes(d) ? hn::LoadU(d, p)
                                   : hn::MaskedLoad(hn::FirstN(d, remaining), d, p);
}

HWY_INLINE FloatVec Widen(FloatTag d, const float* p) { return hn::LoadU(d, p); }

HWY_INLINE FloatVec Widen(FloatTag d, const tensor::BFloat16* p) {
  const hn::RebindToUnsigned<FloatTag> du;
  const auto bits = hn::LoadU(HalfTag(), reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

/// Rounds to nearest even; a NaN stays a (quiet) NaN.
HWY_INLINE void Narrow(FloatTag d, FloatVec v, tensor::BFloat16* p) {
  const hn::RebindToUnsigned<FloatTag> du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7fff)), odd);
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
  const auto top = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet, rounded));
  hn::StoreU(hn::TruncateTo(HalfTag(), top), HalfTag(), reinterpret_cast<std::uint16_t*>(p));
  (void)d;
}

HWY_INLINE void Narrow(FloatTag d, FloatVec v, float* p) { hn::StoreU(v, d, p); }

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
HWY_INLINE FloatVec Widen(FloatTag d, const tensor::Float16* p) {
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  return hn::PromoteTo(d, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(p)));
}
HWY_INLINE void Narrow(FloatTag /*d*/, FloatVec v, tensor::Float16* p) {
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  hn::StoreU(hn::DemoteTo(dh, v), dh, reinterpret_cast<hwy::float16_t*>(p));
}
#else
HWY_INLINE FloatVec Widen(FloatTag d, const tensor::Float16* p) {
  float lanes[kMaxLanes];
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = tensor::to_float(p[i]);
  return hn::LoadU(d, lanes);
}
HWY_INLINE void Narrow(FloatTag d, FloatVec v, tensor::Float16* p) {
  float lanes[kMaxLanes];
  hn::StoreU(v, d, lanes);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) p[i] = tensor::Float16(lanes[i]);
}
#endif

/// out[0, n) = in[0, n) as f32, then zeros up to PadToLanes(n), which `out` must hold.
template <typename T>
void WidenArray(const T* in, std::size_t n, float* out) {
  const FloatTag d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(Widen(d, in + i), d, out + i);
  if (i == n) return;
  T rest[kMaxLanes] = {};
  std::memcpy(static_cast<void*>(rest), in + i, (n - i) * sizeof(T));
  hn::StoreU(Widen(d, rest), d, out + i);
}

/// out[0, n) = in[0, n), each rounded once; `in` is readable up to PadToLanes(n).
template <typename T>
void NarrowArray(const float* in, std::size_t n, T* out) {
  const FloatTag d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) Narrow(d, hn::LoadU(d, in + i), out + i);
  if (i == n) return;
  T rest[kMaxLanes];
  Narrow(d, hn::LoadU(d, in + i), rest);
  std::memcpy(static_cast<void*>(out + i), rest, (n - i) * sizeof(T));
}

struct WidenRow {
  const void* in;
  std::size_t n;
  float* out;
  template <typename T>
  void operator()(tensor::TypeTag<T> /*tag*/) const {
    WidenArray(static_cast<const T*>(in), n, out);
  }
};
struct NarrowRow {
  const float* in;
  std::size_t n;
  void* out;
  template <typename T>
  void operator()(tensor::TypeTag<T> /*tag*/) const {
    NarrowArray(in, n, static_cast<T*>(out));
  }
};

/// The same for a type that is known at run time only.
inline void LoadFloats(tensor::DType type, const void* in, std::size_t n, float* out) {
  tensor::dispatch_float(type, WidenRow{in, n, out});
}
inline void StoreFloats(const float* in, std::size_t n, tensor::DType type, void* out) {
  tensor::dispatch_float(type, NarrowRow{in, n, out});
}

/// A piece of one row in f32 on the stack, zero beyond its end.
inline constexpr std::size_t kChunk = 1024;
struct Chunk {
  HWY_ALIGN float values[kChunk + kMaxLanes];
};

inline std::byte* At(const tensor::MatrixView& m, std::int64_t row, std::size_t col) {
  return m.row_bytes(row) + col * tensor::size_of(m.type);
}
/// Where n values of a row from `col` on are worked on: in the row itself if it is of f32 and they
/// are whole vectors, else in `chunk`.
inline float* Room(const tensor::MatrixView& m, std::int64_t row, std::size_t col, std::size_t n,
                   Chunk& chunk) {
  const bool in_place = m.type == tensor::DType::f32 && n == PadToLanes(n);
  return in_place ? reinterpret_cast<float*>(At(m, row, col)) : chunk.values;
}
/// The same, with the row's values in it.
inline float* Load(const tensor::MatrixView& m, std::int64_t row, std::size_t col, std::size_t n,
                   Chunk& chunk) {
  float* values = Room(m, row, col, n, chunk);
  if (values == chunk.values) LoadFloats(m.type, At(m, row, col), n, values);
  return values;
}
/// Values from Room() or Load() to the row.
inline void Store(const float* values, const tensor::MatrixView& m, std::int64_t row,
                  std::size_t col, std::size_t n) {
  std::byte* to = At(m, row, col);
  if (reinterpret_cast<const std::byte*>(values) != to) StoreFloats(values, n, m.type, to);
}

/// Horner's scheme; the highest coefficient comes first.
HWY_INLINE FloatVec Polynomial(FloatTag /*d*/, FloatVec /*x*/, FloatVec sum) { return sum; }
template <typename... Rest>
HWY_INLINE FloatVec Polynomial(FloatTag d, FloatVec x, FloatVec sum, float next, Rest... rest) {
  return Polynomial(d, x, hn::MulAdd(sum, x, hn::Set(d, next)), rest...);
}

/// e^x within 2 ulp; 0 below -87.33 (where the result would be denormal), capped at 2^127 above
/// 88.02. NaN stays NaN, which Highway's own Exp does not promise. exp(r) = 1 + r + r^2 P(r) with a
/// minimax P on |r| <= ln(2) / 2.
HWY_INLINE FloatVec Exp(FloatTag d, FloatVec x) {
  const auto low = hn::Set(d, -87.33654F);
  const auto high = hn::Set(d, 88.02969F);
  const auto below = hn::Lt(x, low);
  x = hn::IfThenElse(below, low, hn::IfThenElse(hn::Gt(x, high), high, x));
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504F)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x);
  r = hn::MulAdd(n, hn::Set(d, 2.12194440e-4F), r);
  const auto p = Polynomial(d, r, hn::Set(d, 0x1.6dbc62p-10F), 0x1.124148p-7F, 0x1.555454p-5F,
                            0x1.555486p-3F, 0.5F);
  const auto fraction = hn::Add(hn::Set(d, 1.0F), hn::MulAdd(hn::Mul(r, r), p, r));
  const hn::RebindToSigned<FloatTag> di;
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  return hn::IfThenElse(below, hn::Zero(d), hn::Mul(fraction, hn::BitCast(d, exponent)));
}

/// erf(x) within 1.2e-7: a minimax polynomial in x^2 below 1, 1 - exp(P(|x|)) above.
HWY_INLINE FloatVec Erf(FloatTag d, FloatVec x) {
  const auto four = hn::Set(d, 4.0F);
  const auto z = hn::Mul(x, x);
  const auto p = Polynomial(d, z, hn::Set(d, 0x1.4ae4b8p-14F), -0x1.a485e4p-11F, 0x1.5419f4p-8F,
                            -0x1.b7fbb4p-6F, 0x1.ce2d20p-4F, -0x1.81273ep-2F, 0x1.06eba8p-3F);
  const auto near = hn::MulAdd(x, p, x);
  const auto magnitude = hn::Abs(x);
  const auto t = hn::IfThenElse(hn::Gt(magnitude, four), four, magnitude);
  const auto log_erfc = Polynomial(d, t, hn::Set(d, -0x1.68a52ap-16F), 0x1.cc6fc2p-12F,
                                   -0x1.12d522p-8F, 0x1.9c8840p-6F, -0x1.bbe4c8p-4F,
                                   -0x1.443b00p-1F, -0x1.212aa2p+0F, 0x1.80b5f2p-13F);
  const auto far = hn::CopySignToAbs(hn::Sub(hn::Set(d, 1.0F), Exp(d, log_erfc)), x);
  return hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, 1.0F)), near, far);
}

/// 1 / (1 + e^-x).
HWY_INLINE FloatVec Sigmoid(FloatTag d, FloatVec x) {
  const auto one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

/// tanh(x) within 3 ulp.
HWY_INLINE FloatVec Tanh(FloatTag d, FloatVec x) {
  const auto one = hn::Set(d, 1.0F);
  const auto z = hn::Mul(x, x);
  const auto p = Polynomial(d, z, hn::Set(d, -0x1.76abf6p-8F), 0x1.5256cep-6F, -0x1.b84448p-5F,
                            0x1.110768p-3F, -0x1.555534p-2F);
  const auto near = hn::MulAdd(hn::Mul(x, z), p, x);
  const auto magnitude = hn::Abs(x);
  const auto power = Exp(d, hn::Add(magnitude, magnitude));
  const auto far = hn::Sub(one, hn::Div(hn::Set(d, 2.0F), hn::Add(power, one)));
  return hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, 0.625F)), near, hn::CopySignToAbs(far, x));
}

}  // namespace assay::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
