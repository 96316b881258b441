// Codes cut into planes of bits (layout.h) to vectors of f32. Compiled once for each target.
#if defined(ASSAY_KERNELS_CPU_LINEAR_PLANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_PLANES_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_PLANES_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_PLANES_INL_H_
#endif

#include "kernels/cpu/linear/decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

/// Bits [From, From + Width) of each lane, moved to bit `To`.
template <int From, int Width, int To>
HWY_INLINE VecU move_bits(VecU word) {
  const VecU mask = hn::Set(U32(), ((1U << Width) - 1U) << To);
  if constexpr (From > To) return hn::And(hn::ShiftRight<From - To>(word), mask);
  if constexpr (From < To) return hn::And(hn::ShiftLeft<To - From>(word), mask);
  return hn::And(word, mask);
}

/// The words of 16 depths, half of a unit, of a vector of columns.
template <int Bits>
struct HalfUnit {
  static constexpr int kLow = Bits >= 4 ? 4 : 2;
  static constexpr int kHigh = Bits - kLow;
  static constexpr int kLowWords = kLow / 2;
  VecU low[kLowWords];
  VecU high;

  HWY_INLINE HalfUnit(const PanelSource& s, std::int64_t i, int v) {
    const std::int64_t unit = i / kPlaneUnit * Bits;
    const std::int64_t half = i % kPlaneUnit / 16;
    for (int w = 0; w < kLowWords; ++w) low[w] = load_words(s, unit + half * kLowWords + w, v);
    if constexpr (kHigh == 2) high = load_words(s, unit + kLow + half, v);
    if constexpr (kHigh == 1) {
      high = load_words(s, unit + kLow, v);
      if (half != 0) high = hn::ShiftRight<16>(high);
    }
  }

  template <int Index>
  HWY_INLINE VecU code() const {
    constexpr int kPerWord = 32 / kLow;
    VecU bits = move_bits<Index % kPerWord * kLow, kLow, 0>(low[Index / kPerWord]);
    if constexpr (kHigh > 0) {
      bits = hn::Or(bits, move_bits<Index * kHigh, kHigh, kLow>(high));
    }
    return bits;
  }
};

/// (code - Offset) * scale, or with minima code * scale + minimum.
template <int Bits, int Offset, bool Minima, DType Compute>
struct PlaneVisitor {
  struct Scale {
    VecF scale;
    VecF minimum;
  };

  template <int Index, class Sink>
  static HWY_INLINE void put(std::int64_t i, int v, const HalfUnit<Bits>& words, const Scale& s,
                             Sink& sink) {
    const F32 d;
    // A code becomes the low bits of 2^23.
    const VecU bits = hn::Or(words.template code<Index>(), hn::Set(U32(), 0x4b000000U));
    const VecF value = hn::Sub(hn::BitCast(d, bits), hn::Set(d, 0x1.0p23F + Offset));
    const VecF weight = Minima ? hn::MulAdd(value, s.scale, s.minimum) : hn::Mul(value, s.scale);
    sink.put(i + Index, v, round_moderate<Compute>(weight));
  }

  template <class Sink, int... Index>
  static HWY_INLINE void put_all(std::int64_t i, int v, const HalfUnit<Bits>& words, const Scale& s,
                                 Sink& sink, std::integer_sequence<int, Index...>) {
    (put<Index>(i, v, words, s, sink), ...);
  }

  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    const F32 d;
    for (std::int64_t i = begin; i < end; i += 16) {
      const std::int64_t group = i / s.block * s.scale_stride;
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const Scale scale{hn::Load(d, s.scales + group + v * kLanes),
                          Minima ? hn::Load(d, s.minima + group + v * kLanes) : hn::Zero(d)};
        put_all(i, v, HalfUnit<Bits>(s, i, v), scale, sink, std::make_integer_sequence<int, 16>());
      }
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
