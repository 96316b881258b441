#if defined(__x86_64__)

#include <utility>

#include "kernels/cpu/vnni/sinks.h"
#include "precision/encodings/block_forms.h"

// Codes cut into planes of bits (linear/layout.h) to pairs of bf16.
namespace assay::kernels::cpu::vnni {
namespace {

/// Bits [From, From + Width) of each lane, moved to bit `To`.
template <int From, int Width, int To>
ASSAY_VNNI_INLINE __m512i move_bits(__m512i word) {
  if constexpr (From > To) word = _mm512_srli_epi32(word, From - To);
  if constexpr (From < To) word = _mm512_slli_epi32(word, To - From);
  return _mm512_and_si512(word, _mm512_set1_epi32(((1 << Width) - 1) << To));
}

/// (code - Offset) * scale, or with minima code * scale + minimum.
template <int Bits, int Offset, bool Minima>
struct PlaneVisitor {
  static constexpr int kLow = Bits >= 4 ? 4 : 2;
  static constexpr int kHigh = Bits - kLow;
  static constexpr int kLowWords = kLow / 2;

  /// 16 depths, half of a unit, of 16 columns.
  struct HalfUnit {
    __m512i low[kLowWords];
    __m512i high;
    __m512 scale;
    __m512 minimum;
  };

  template <int Index>
  ASSAY_VNNI_INLINE static __m512 value(const HalfUnit& h) {
    constexpr int kPerWord = 32 / kLow;
    __m512i code = move_bits<Index % kPerWord * kLow, kLow, 0>(h.low[Index / kPerWord]);
    if constexpr (kHigh > 0) {
      code = _mm512_or_si512(code, move_bits<Index * kHigh, kHigh, kLow>(h.high));
    }
    // A code becomes the low bits of 2^23.
    const __m512i bits = _mm512_or_si512(code, _mm512_set1_epi32(0x4b000000));
    const __m512 number =
        _mm512_sub_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0x1.0p23F + Offset));
    return Minima ? _mm512_fmadd_ps(number, h.scale, h.minimum) : _mm512_mul_ps(number, h.scale);
  }

  ASSAY_VNNI_INLINE static HalfUnit load(const PanelSource& s, std::int64_t i, int v) {
    const std::int64_t unit = i / kPlaneUnit * Bits;
    const std::int64_t half = i % kPlaneUnit / 16;
    const std::int64_t group = i / s.block * s.scale_stride + v * kLanes;
    HalfUnit h;
    for (int w = 0; w < kLowWords; ++w) h.low[w] = load_words(s, unit + half * kLowWords + w, v);
    h.high = h.low[0];
    if constexpr (kHigh == 2) h.high = load_words(s, unit + kLow + half, v);
    if constexpr (kHigh == 1) {
      h.high = load_words(s, unit + kLow, v);
      if (half != 0) h.high = _mm512_srli_epi32(h.high, 16);
    }
    h.scale = _mm512_loadu_ps(s.scales + group);
    h.minimum = Minima ? _mm512_loadu_ps(s.minima + group) : _mm512_setzero_ps();
    return h;
  }

  template <class Sink, int... Pair>
  ASSAY_VNNI_INLINE static void put_all(std::int64_t i, int v, const HalfUnit& h,
                                        __m512i interleave, Sink& sink,
                                        std::integer_sequence<int, Pair...>) {
    (sink.put(i + 2 * Pair, v, to_pairs(value<2 * Pair>(h), value<2 * Pair + 1>(h), interleave)),
     ...);
  }

  template <class Sink>
  ASSAY_VNNI_INLINE static void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                                      Sink& sink) {
    const __m512i interleave = _mm512_loadu_si512(kInterleave.data());
    for (std::int64_t i = begin; i < end; i += 16) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        put_all(i, v, load(s, i, v), interleave, sink, std::make_integer_sequence<int, 8>());
      }
    }
  }
};

template <std::size_t I>
constexpr Steps steps_of() {
  constexpr precision::BlockForm kForm = *precision::kBlockForms[I].form;
  if constexpr (kForm.bits == 4) {
    return kForm.has_minima() ? Steps{decode_nibbles_minima, single_nibbles_minima}
                              : Steps{decode_nibbles, single_nibbles};
  } else {
    using Visitor = PlaneVisitor<kForm.bits, kForm.offset, kForm.has_minima()>;
    return {decode<Visitor>, single<Visitor>};
  }
}

template <std::size_t... I>
constexpr auto all_steps(std::index_sequence<I...>) {
  return std::array<Steps, sizeof...(I)>{steps_of<I>()...};
}

constexpr auto kSteps = all_steps(std::make_index_sequence<precision::kBlockForms.size()>());

}  // namespace

Steps block_steps(std::size_t form) { return kSteps[form]; }

}  // namespace assay::kernels::cpu::vnni

#endif
