#if defined(__x86_64__)

#include "kernels/cpu/vnni/sinks.h"

// Packed weights to pairs of bf16, rounded to nearest even, in the layout of multiply_bf16.
namespace assay::kernels::cpu::vnni {
namespace {

/// Code `Index` of four in each lane, in f32: the byte becomes the low bits of 2^23.
template <int Index>
ASSAY_VNNI_INLINE __m512 byte_value(__m512i word) {
  const __m512i moved = _mm512_srli_epi32(word, 8 * Index);
  // (moved & 0xff) | bits of 2^23
  const __m512i bits = _mm512_ternarylogic_epi32(moved, _mm512_set1_epi32(0xff),
                                                 _mm512_set1_epi32(0x4b000000), 0xea);
  return _mm512_sub_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0x1.0p23F + kByteOffset));
}

template <bool Scaled>
struct ByteVisitor {
  template <class Sink>
  ASSAY_VNNI_INLINE static void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                                      Sink& sink) {
    const __m512i interleave = _mm512_loadu_si512(kInterleave.data());
    for (std::int64_t i = begin; i < end; i += kByteUnit) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const __m512i word = load_words(s, i / kByteUnit, v);
        __m512 w0 = byte_value<0>(word), w1 = byte_value<1>(word);
        __m512 w2 = byte_value<2>(word), w3 = byte_value<3>(word);
        if constexpr (Scaled) {
          const __m512 scale =
              _mm512_loadu_ps(s.scales + i / s.block * s.scale_stride + v * kLanes);
          w0 = _mm512_mul_ps(w0, scale);
          w1 = _mm512_mul_ps(w1, scale);
          w2 = _mm512_mul_ps(w2, scale);
          w3 = _mm512_mul_ps(w3, scale);
        }
        sink.put(i, v, to_pairs(w0, w1, interleave));
        sink.put(i + 2, v, to_pairs(w2, w3, interleave));
      }
    }
  }
};

template <bool Minima>
struct NibbleVisitor {
  struct Context {
    __m512 table;
    __m512i interleave;
  };
  struct Block {
    __m512 scale;
    __m512 minimum;
  };

  /// Code `Index` of eight in each lane; the permutation reads the lowest four bits.
  template <int Index>
  ASSAY_VNNI_INLINE static __m512 value(__m512i word, const Context& c, const Block& b) {
    const __m512 code = _mm512_permutexvar_ps(_mm512_srli_epi32(word, 4 * Index), c.table);
    return Minima ? _mm512_fmadd_ps(code, b.scale, b.minimum) : _mm512_mul_ps(code, b.scale);
  }
  template <int Index>
  ASSAY_VNNI_INLINE static __m512i pairs(__m512i word, const Context& c, const Block& b) {
    return to_pairs(value<Index>(word, c, b), value<Index + 1>(word, c, b), c.interleave);
  }

  template <class Sink>
  ASSAY_VNNI_INLINE static void visit(const PanelSource& s, std::int64_t begin, std::int64_t end,
                                      Sink& sink) {
    const Context c{_mm512_loadu_ps(s.table), _mm512_loadu_si512(kInterleave.data())};
    for (std::int64_t block = begin; block < end; block += s.block) {
      const std::int64_t scale_at = block / s.block * s.scale_stride;
      Block blocks[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        blocks[v].scale = _mm512_loadu_ps(s.scales + scale_at + v * kLanes);
        blocks[v].minimum =
            Minima ? _mm512_loadu_ps(s.minima + scale_at + v * kLanes) : _mm512_setzero_ps();
      }
      for (std::int64_t i = block; i < block + s.block; i += kNibbleUnit) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
          const __m512i word = load_words(s, i / kNibbleUnit, v);
          sink.put(i, v, pairs<0>(word, c, blocks[v]));
          sink.put(i + 2, v, pairs<2>(word, c, blocks[v]));
          sink.put(i + 4, v, pairs<4>(word, c, blocks[v]));
          sink.put(i + 6, v, pairs<6>(word, c, blocks[v]));
        }
      }
    }
  }
};

/// 16 values of `type` at element i, in f32.
ASSAY_VNNI_INLINE __m512 load_values(const void* x, tensor::DType type, std::int64_t i,
                                     __mmask16 mask) {
  if (type == DType::f32) return _mm512_maskz_loadu_ps(mask, static_cast<const float*>(x) + i);
  const __m256i half = _mm256_maskz_loadu_epi16(mask, static_cast<const std::uint16_t*>(x) + i);
  if (type == DType::f16) return _mm512_cvtph_ps(half);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

}  // namespace

ASSAY_VNNI void load_row_bf16(const LoadRow& row) {
  auto* out = static_cast<std::uint16_t*>(row.out);
  for (std::int64_t i = 0; i < row.k_padded; i += kLanes) {
    const auto mask_to = [i](std::int64_t end) {
      const std::int64_t left = end - i;
      return static_cast<__mmask16>(left >= kLanes ? 0xffff : left <= 0 ? 0 : (1 << left) - 1);
    };
    const __m512 values = load_values(row.x, row.type, i, mask_to(row.k));
    _mm256_mask_storeu_epi16(out + i, mask_to(row.k_padded), (__m256i)_mm512_cvtneps_pbh(values));
  }
}

ASSAY_VNNI void decode_codes(const PanelSource& s, std::int64_t begin, std::int64_t end,
                             void* out) {
  decode<ByteVisitor<false>>(s, begin, end, out);
}
ASSAY_VNNI void single_codes(const PanelSource& s, const void* x, std::int64_t k, float* acc) {
  single<ByteVisitor<false>>(s, x, k, acc);
}
ASSAY_VNNI void decode_scaled_bytes(const PanelSource& s, std::int64_t begin, std::int64_t end,
                                    void* out) {
  decode<ByteVisitor<true>>(s, begin, end, out);
}
ASSAY_VNNI void single_scaled_bytes(const PanelSource& s, const void* x, std::int64_t k,
                                    float* acc) {
  single<ByteVisitor<true>>(s, x, k, acc);
}
ASSAY_VNNI void decode_nibbles(const PanelSource& s, std::int64_t begin, std::int64_t end,
                               void* out) {
  decode<NibbleVisitor<false>>(s, begin, end, out);
}
ASSAY_VNNI void decode_nibbles_minima(const PanelSource& s, std::int64_t begin, std::int64_t end,
                                      void* out) {
  decode<NibbleVisitor<true>>(s, begin, end, out);
}

}  // namespace assay::kernels::cpu::vnni

#endif
