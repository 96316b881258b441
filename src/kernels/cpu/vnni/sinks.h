#pragma once

#include <array>
#include <cstring>

#include "kernels/cpu/vnni/vnni.h"

// Where decoded weights go: a visitor hands pairs of depths to a sink.
namespace assay::kernels::cpu::vnni {

/// Takes pairs of depths (i, i + 1) of 16 columns.
struct StoreSink {
  std::byte* out;
  ASSAY_VNNI_INLINE void put(std::int64_t i, int v, __m512i pairs) {
    _mm512_storeu_si512(out + i * (kPanel * 2) + v * 64, pairs);
  }
};

struct DotSink {
  const std::byte* x;
  __m512 sums[kVectors];
  ASSAY_VNNI_INLINE void put(std::int64_t i, int v, __m512i pairs) {
    std::int32_t word;
    std::memcpy(&word, x + i * 2, sizeof(word));
    const __m512i a = _mm512_set1_epi32(word);
    sums[v] = _mm512_dpbf16_ps(sums[v], (__m512bh)a, (__m512bh)pairs);
  }
};

/// Lanes 0, 16, 1, 17, ...: two vectors of 16 bf16 into 16 pairs.
inline constexpr std::array<std::uint16_t, 32> kInterleave = {
    0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

ASSAY_VNNI_INLINE __m512i to_pairs(__m512 first, __m512 second, __m512i interleave) {
  return _mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

ASSAY_VNNI_INLINE __m512i load_words(const PanelSource& s, std::int64_t unit, int v) {
  return _mm512_loadu_si512(s.codes + unit * kPanel * 4 + v * 64);
}

template <class Visitor>
ASSAY_VNNI void decode(const PanelSource& source, std::int64_t begin, std::int64_t end, void* out) {
  StoreSink sink{static_cast<std::byte*>(out) - begin * (kPanel * 2)};
  Visitor::visit(source, begin, end, sink);
}

template <class Visitor>
ASSAY_VNNI void single(const PanelSource& source, const void* x, std::int64_t k, float* acc) {
  DotSink sink{static_cast<const std::byte*>(x), {_mm512_setzero_ps(), _mm512_setzero_ps()}};
  Visitor::visit(source, 0, k, sink);
  _mm512_storeu_ps(acc, sink.sums[0]);
  _mm512_storeu_ps(acc + kLanes, sink.sums[1]);
}

}  // namespace assay::kernels::cpu::vnni
