// Codes of 4 bits to vectors of f32. Compiled once for each target.
#if defined(ASSAY_KERNELS_CPU_LINEAR_NIBBLES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_NIBBLES_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_NIBBLES_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_NIBBLES_INL_H_
#endif

#include "kernels/cpu/linear/decode-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

/// The 16 values of a 4-bit code. find() uses the lowest four bits of each lane.
class CodeTable {
 public:
#if HWY_TARGET == HWY_AVX3
  explicit HWY_INLINE CodeTable(const float* values) : all_(hn::LoadU(F32(), values)) {}
  HWY_INLINE VecF find(VecU codes) const {
    return hn::TableLookupLanes(all_, hn::Indices512<float>{codes.raw});
  }

 private:
  VecF all_;
#elif HWY_TARGET == HWY_AVX2
  explicit HWY_INLINE CodeTable(const float* values)
      : low_(hn::LoadU(F32(), values)), high_(hn::LoadU(F32(), values + 8)) {}
  HWY_INLINE VecF find(VecU codes) const {
    // The permutation reads three bits, the blend the sign: bit 3 moved there.
    const hn::Indices256<float> index{codes.raw};
    const VecF sign = hn::BitCast(F32(), hn::ShiftLeft<28>(codes));
    return hn::IfThenElse(hn::MaskFromVec(sign), hn::TableLookupLanes(high_, index),
                          hn::TableLookupLanes(low_, index));
  }

 private:
  VecF low_;
  VecF high_;
#else
  explicit HWY_INLINE CodeTable(const float* values) : values_(values) {}
  HWY_INLINE VecF find(VecU codes) const {
    const VecI index = hn::BitCast(I32(), hn::And(codes, hn::Set(U32(), 15)));
    return hn::GatherIndex(F32(), values_, index);
  }

 private:
  const float* values_;
#endif
};

/// table[code] * scale: nf4, fp4 and the like.
template <DType Compute>
struct TableNibbleVisitor {
  template <int Index, class Sink>
  static HWY_INLINE void put(std::int64_t i, int v, VecU word, const CodeTable& table, VecF scale,
                             Sink& sink) {
    const VecF value = table.find(hn::ShiftRight<4 * Index>(word));
    sink.put(i + Index, v, round_finite<Compute>(hn::Mul(value, scale)));
  }

  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    const F32 d;
    const CodeTable table(s.table);
    for (std::int64_t i = begin; i < end; i += kNibbleUnit) {
      const std::int64_t block = i / s.block * s.scale_stride;
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const VecF scale = hn::Load(d, s.scales + block + v * kLanes);
        const VecU word = load_words(s, i / kNibbleUnit, v);
        put<0>(i, v, word, table, scale, sink);
        put<1>(i, v, word, table, scale, sink);
        put<2>(i, v, word, table, scale, sink);
        put<3>(i, v, word, table, scale, sink);
        put<4>(i, v, word, table, scale, sink);
        put<5>(i, v, word, table, scale, sink);
        put<6>(i, v, word, table, scale, sink);
        put<7>(i, v, word, table, scale, sink);
      }
    }
  }
};

/// How a code that stands for a number is scaled. The first two have scales of 16 bits, so that
/// weights are neither large nor denormal; the third has scales and minima of any size.
enum class NibbleScale { single, with_minimum, any_with_minimum };

/// (code - Offset) * scale, or code * scale + minimum: q4_0, q4_1, q4_k, int4.
template <DType Compute, NibbleScale Scale, int Offset = 0>
struct NumberNibbleVisitor {
  static constexpr bool kMinima = Scale != NibbleScale::single;
  /// (2^e + code) * scale - (2^e + Offset) * scale, which is exact only in one step.
  static constexpr bool kFused = !kMinima && HWY_TARGET != HWY_SCALAR;
  static_assert(!kMinima || Offset == 0);

  /// What nibble `Place` of 2^kExponent is worth as a mantissa's part: ones.
  template <int Place>
  static constexpr int kExponent = 23 - 4 * Place;

  struct Factors {
    VecF scale;
    VecF minimum[5];  ///< by place; without minima what takes the power of two away again
    HWY_INLINE Factors(const PanelSource& s, std::int64_t at) {
      const F32 d;
      scale = hn::Load(d, s.scales + at);
      if constexpr (kMinima) {
        minimum[0] = hn::Load(d, s.minima + at);
      } else if constexpr (kFused) {
        minimum[2] = removed<2>();
        minimum[3] = removed<3>();
        minimum[4] = removed<4>();
      }
    }
    /// Exact: 13 bits times 11.
    template <int Place>
    HWY_INLINE VecF removed() const {
      return hn::Mul(scale, hn::Set(F32(), -static_cast<float>((1 << kExponent<Place>)+Offset)));
    }
  };

  /// The nibble at bit 4 * Place becomes the lowest part of a power of two.
  template <int Place>
  static HWY_INLINE VecF weight(VecU word, const Factors& f) {
    const U32 du;
    const VecU bits = hn::Or(hn::And(word, hn::Set(du, 0xfU << (4 * Place))),
                             hn::Set(du, (127U + kExponent<Place>) << 23U));
    const VecF raised = hn::BitCast(F32(), bits);
    if constexpr (kFused) {
      return round_moderate<Compute>(hn::MulAdd(raised, f.scale, f.minimum[Place]));
    }
    const float power = static_cast<float>((1 << kExponent<Place>)+Offset);
    const VecF code = hn::Sub(raised, hn::Set(F32(), power));
    if constexpr (!kMinima) return round_moderate<Compute>(hn::Mul(code, f.scale));
    const VecF result = hn::MulAdd(code, f.scale, f.minimum[0]);
    if constexpr (Scale == NibbleScale::any_with_minimum) return round_finite<Compute>(result);
    return round_moderate<Compute>(result);
  }

  template <class Sink>
  static HWY_INLINE void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               Sink& sink) {
    for (std::int64_t i = begin; i < end; i += kNibbleUnit) {
      const std::int64_t block = i / s.block * s.scale_stride;
#pragma GCC unroll kUnroll
      for (int v = 0; v < kPanelVectors; ++v) {
        const Factors f(s, block + v * kLanes);
        const VecU word = load_words(s, i / kNibbleUnit, v);
        const VecU low = hn::ShiftLeft<8>(word);
        const VecU high = hn::ShiftRight<12>(word);
        sink.put(i, v, weight<2>(low, f));
        sink.put(i + 1, v, weight<3>(low, f));
        sink.put(i + 2, v, weight<2>(word, f));
        sink.put(i + 3, v, weight<3>(word, f));
        sink.put(i + 4, v, weight<4>(word, f));
        sink.put(i + 5, v, weight<2>(high, f));
        sink.put(i + 6, v, weight<3>(high, f));
        sink.put(i + 7, v, weight<4>(high, f));
      }
    }
  }
};

#if HWY_TARGET == HWY_AVX2

// Weights of 16 bits found by bytes. 64 weights of a column that share a scale have 16 values,
// which are scaled and rounded once; a byte permutation then finds 32 weights' bytes at a time,
// where a permutation of f32 finds eight weights. Columns c and c + 4 share a vector, one in each
// half.
namespace tables {

using U8 = hn::Repartition<std::uint8_t, U32>;
using U16 = hn::Repartition<std::uint16_t, U32>;
using U64 = hn::Repartition<std::uint64_t, U32>;
using VecB = hn::Vec<U8>;

/// Four vectors as 4 x 4 words in each half, transposed.
HWY_INLINE void transpose(const VecU* in, VecU* out) {
  const U32 d;
  const U64 d64;
  const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, in[0], in[1]));
  const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, in[0], in[1]));
  const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, in[2], in[3]));
  const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, in[2], in[3]));
  out[0] = hn::BitCast(d, hn::InterleaveLower(d64, low01, low23));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(d64, low01, low23));
  out[2] = hn::BitCast(d, hn::InterleaveLower(d64, high01, high23));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(d64, high01, high23));
}

/// The 16 bf16 values of 8 columns, low and high bytes: [c] of columns c and c + 4.
struct Tables {
  VecB low[4];
  VecB high[4];

  /// Bits of bf16 in the upper half of each lane, the lower half undefined.
  static HWY_INLINE VecU scaled(float value, VecF scale) {
    return bf16_rounded_bits(hn::Mul(hn::Set(F32(), value), scale));
  }
  /// Of two values: their low bytes, then their high bytes, in each lane.
  static HWY_INLINE hn::Vec<U16> bytes_of(VecU first, VecU second) {
    alignas(32) static constexpr std::uint8_t kOrder[32] = {
        0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15,
        0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    const U16 d16;
    const auto both =
        hn::OddEven(hn::BitCast(d16, second), hn::BitCast(d16, hn::ShiftRight<16>(first)));
    return hn::BitCast(d16, hn::TableLookupBytes(hn::BitCast(U8(), both), hn::Load(U8(), kOrder)));
  }

  HWY_INLINE Tables(const float* table, VecF scale) {
    const U16 d16;
    VecU first[4];   // columns 0 and 1: low, high, low, high bytes of four values
    VecU second[4];  // columns 2 and 3
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      const float* values = table + 4 * q;
      const auto a = bytes_of(scaled(values[0], scale), scaled(values[1], scale));
      const auto b = bytes_of(scaled(values[2], scale), scaled(values[3], scale));
      first[q] = hn::BitCast(U32(), hn::InterleaveLower(d16, a, b));
      second[q] = hn::BitCast(U32(), hn::InterleaveUpper(d16, a, b));
    }
    const VecU* halves[2] = {first, second};
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      VecU out[4];
      transpose(halves[h], out);
      low[2 * h] = hn::BitCast(U8(), out[0]);
      high[2 * h] = hn::BitCast(U8(), out[1]);
      low[2 * h + 1] = hn::BitCast(U8(), out[2]);
      high[2 * h + 1] = hn::BitCast(U8(), out[3]);
    }
  }
};

/// Pairs of depths (i, i + 2) of columns c and c + 4 to eight rows of 8 columns, two rows apart.
HWY_INLINE void store_rows(const VecU* pairs, float* out) {
  const F32 d;
  VecU columns[4];
  transpose(pairs, columns);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    float* to = out + 4 * i * kPanel;
    hn::Store(hn::BitCast(d, hn::ShiftLeft<16>(columns[i])), d, to);
    hn::Store(hn::BitCast(d, hn::And(columns[i], hn::Set(U32(), 0xffff0000U))), d, to + 2 * kPanel);
  }
}

/// 32 depths (four words) of 8 columns, every other depth from `Parity` on.
template <int Parity>
HWY_INLINE void decode_words(const VecU* words, const Tables& tables, float* out) {
  const U8 d8;
  VecU lower[4];
  VecU upper[4];
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const VecU moved = Parity == 0 ? words[c] : hn::ShiftRight<4>(words[c]);
    const VecB codes = hn::BitCast(d8, hn::And(moved, hn::Set(U32(), 0x0f0f0f0fU)));
    const VecB low = hn::TableLookupBytes(tables.low[c], codes);
    const VecB high = hn::TableLookupBytes(tables.high[c], codes);
    lower[c] = hn::BitCast(U32(), hn::InterleaveLower(d8, low, high));
    upper[c] = hn::BitCast(U32(), hn::InterleaveUpper(d8, low, high));
  }
  store_rows(lower, out + Parity * kPanel);
  store_rows(upper, out + (16 + Parity) * kPanel);
}

}  // namespace tables

/// TableNibbleVisitor<bf16> with a StoreSink; depths are whole multiples of 32.
inline void decode_bf16_tables(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               void* out) {
  constexpr std::int64_t kDepth = 4 * kNibbleUnit;
  const std::int64_t step = HWY_MIN(s.block, end - begin);
  for (std::int64_t block = begin; block < end; block += step) {
    const float* scales = s.scales + block / s.block * s.scale_stride;
    for (int v = 0; v < kPanelVectors; ++v) {
      const tables::Tables tables(s.table, hn::Load(F32(), scales + v * kLanes));
      for (std::int64_t i = block; i < block + step; i += kDepth) {
        VecU in[4];
        VecU words[4];
        for (int u = 0; u < 4; ++u) in[u] = load_words(s, i / kNibbleUnit + u, v);
        tables::transpose(in, words);
        float* to = static_cast<float*>(out) + (i - begin) * kPanel + v * kLanes;
        tables::decode_words<0>(words, tables, to);
        tables::decode_words<1>(words, tables, to);
      }
    }
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
