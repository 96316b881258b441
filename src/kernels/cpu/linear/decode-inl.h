// Packed weights to vectors of f32, rounded to the compute type. Compiled once for each target.
//
// A visitor goes over depths [begin, end) of a panel and hands every vector of weights to a sink,
// depths ascending: StoreSink makes a decoded copy, DotSink multiplies at once.
#if defined(ASSAY_KERNELS_CPU_LINEAR_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_DECODE_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_DECODE_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_DECODE_INL_H_
#endif

#include "kernels/cpu/linear/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

/// Sums stay in registers where a panel is a few vectors; one lane at a time, unrolling only costs.
constexpr int kUnroll = kPanelVectors <= 4 ? 4 : 1;

struct StoreSink {
  float* out;
  std::int64_t begin;
  HWY_INLINE void put(std::int64_t i, int v, VecF w) {
    hn::Store(w, F32(), out + (i - begin) * kPanel + v * kLanes);
  }
};

struct DotSink {
  const float* x;
  VecF sums[kPanelVectors];
  HWY_INLINE void put(std::int64_t i, int v, VecF w) {
    sums[v] = hn::MulAdd(hn::Set(F32(), x[i]), w, sums[v]);
  }
};

struct F16Visitor {
  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    const auto* codes = reinterpret_cast<const std::uint16_t*>(s.codes);
    for (std::int64_t i = begin; i < end; ++i) {
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        sink.put(i, v, load_f16(codes + i * kPanel + v * kLanes));
      }
    }
  }
};

/// Words of 32 bits: `unit` depths of each column.
HWY_INLINE VecU load_words(const PanelSource& s, std::int64_t unit, int v) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(s.codes);
  return hn::Load(U32(), words + unit * kPanel + v * kLanes);
}

struct Bf16Visitor {
  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    const F32 d;
    for (std::int64_t i = begin; i < end; i += kBf16Unit) {
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const VecU pair = load_words(s, i / kBf16Unit, v);
        sink.put(i, v, hn::BitCast(d, hn::ShiftLeft<16>(pair)));
        sink.put(i + 1, v, hn::BitCast(d, hn::And(pair, hn::Set(U32(), 0xffff0000U))));
      }
    }
  }
};

/// One of four 8-bit codes of each lane, signed, in f32: the byte becomes the low bits of 2^23.
template <int Index>
HWY_INLINE VecF byte_value(VecU word) {
  const U32 du;
  const F32 d;
  const VecU byte = hn::And(hn::ShiftRight<8 * Index>(word), hn::Set(du, 0xff));
  const VecF shifted = hn::BitCast(d, hn::Or(byte, hn::Set(du, 0x4b000000)));
  return hn::Sub(shifted, hn::Set(d, 0x1.0p23F + static_cast<float>(kByteOffset)));
}

/// int8 codes as they are; their column scale is applied to the sums.
struct CodeVisitor {
  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    for (std::int64_t i = begin; i < end; i += kByteUnit) {
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const VecU word = load_words(s, i / kByteUnit, v);
        sink.put(i, v, byte_value<0>(word));
        sink.put(i + 1, v, byte_value<1>(word));
        sink.put(i + 2, v, byte_value<2>(word));
        sink.put(i + 3, v, byte_value<3>(word));
      }
    }
  }
};

/// fp8 E4M3 as it is; its column scale is applied to the sums. Exponent and mantissa moved to f32's
/// places stand for 2^-120 of the value, denormals too.
struct Fp8Visitor {
  template <int Index>
  static HWY_INLINE VecF value(VecU word) {
    const U32 du;
    const VecU byte = hn::ShiftRight<8 * Index>(word);
    const VecU magnitude = hn::ShiftLeft<20>(hn::And(byte, hn::Set(du, 0x7f)));
    const VecU sign = hn::ShiftLeft<24>(hn::AndNot(byte, hn::Set(du, 0x80)));
    return hn::Mul(hn::BitCast(F32(), hn::Or(magnitude, sign)), hn::Set(F32(), 0x1.0p120F));
  }

  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    for (std::int64_t i = begin; i < end; i += kByteUnit) {
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const VecU word = load_words(s, i / kByteUnit, v);
        sink.put(i, v, value<0>(word));
        sink.put(i + 1, v, value<1>(word));
        sink.put(i + 2, v, value<2>(word));
        sink.put(i + 3, v, value<3>(word));
      }
    }
  }
};

/// q8_0: codes with block scales of 16 bits; uint8: with scales and minima of any size.
template <DType Compute, bool Minima = false>
struct ScaledByteVisitor {
  static HWY_INLINE VecF weight(VecF code, VecF scale, VecF minimum) {
    if constexpr (Minima) return round_finite<Compute>(hn::MulAdd(code, scale, minimum));
    return round_moderate<Compute>(hn::Mul(code, scale));
  }

  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    const F32 d;
    for (std::int64_t i = begin; i < end; i += kByteUnit) {
      const std::int64_t block = i / s.block * s.scale_stride;
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const VecF scale = hn::Load(d, s.scales + block + v * kLanes);
        const VecF low = Minima ? hn::Load(d, s.minima + block + v * kLanes) : hn::Zero(d);
        const VecU word = load_words(s, i / kByteUnit, v);
        sink.put(i, v, weight(byte_value<0>(word), scale, low));
        sink.put(i + 1, v, weight(byte_value<1>(word), scale, low));
        sink.put(i + 2, v, weight(byte_value<2>(word), scale, low));
        sink.put(i + 3, v, weight(byte_value<3>(word), scale, low));
      }
    }
  }
};

template <class Visitor>
void decode_panel(const PanelSource& source, std::int64_t begin, std::int64_t end, void* out) {
  StoreSink sink{static_cast<float*>(out), begin};
  Visitor::visit(source, begin, end, sink);
}

template <class Visitor>
void single_row(const PanelSource& source, const void* x, std::int64_t k, float* acc) {
  const F32 d;
  DotSink sink{static_cast<const float*>(x), {}};
  for (int v = 0; v < kPanelVectors; ++v) sink.sums[v] = hn::Zero(d);
  Visitor::visit(source, 0, k, sink);
  for (int v = 0; v < kPanelVectors; ++v) hn::Store(sink.sums[v], d, acc + v * kLanes);
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
