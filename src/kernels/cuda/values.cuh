#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/device_types.h"

// Numbers in device memory: widened to f32, rounded once to their type, eight at a time where
// 16-byte accesses are possible.

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

__device__ inline float widen(float v) { return v; }
__device__ inline float widen(__half v) { return __half2float(v); }
__device__ inline float widen(__nv_bfloat16 v) { return __bfloat162float(v); }

template <typename T>
__device__ inline T narrow(float v);
template <>
__device__ inline float narrow<float>(float v) {
  return v;
}
template <>
__device__ inline __half narrow<__half>(float v) {
  return __float2half_rn(v);
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float v) {
  return __float2bfloat16_rn(v);
}
/// Rounded to T and back.
template <typename T>
__device__ inline float rounded(float v) {
  return widen(narrow<T>(v));
}

template <typename T>
struct Tag {
  using type = T;
};
/// Calls f(Tag<T>{}) with the device's type for an Element.
template <typename F>
void dispatch(Element type, const F& f) {
  switch (type) {
    case Element::f32:
      return f(Tag<float>{});
    case Element::f16:
      return f(Tag<__half>{});
    case Element::bf16:
      return f(Tag<__nv_bfloat16>{});
  }
}

constexpr int kEight = 8;

/// May rows be read in pieces of eight elements with 16-byte accesses?
template <typename T>
inline bool in_eights(const DeviceMatrix& m) {
  const auto bytes = static_cast<std::uint64_t>(m.stride) * sizeof(T);
  return (reinterpret_cast<std::uintptr_t>(m.data) % 16 == 0) && bytes % 16 == 0 &&
         m.cols % kEight == 0;
}

/// v = row[begin, begin + 8), zero beyond cols; `eights`: the whole piece is there and aligned.
template <typename T>
__device__ inline void load8(const T* row, std::int64_t begin, std::int64_t cols, bool eights,
                             float (&v)[kEight]) {
  if (eights) {
    constexpr int kPerLoad = 16 / sizeof(T);
#pragma unroll
    for (int part = 0; part < kEight / kPerLoad; ++part) {
      const uint4 bits = *reinterpret_cast<const uint4*>(row + begin + part * kPerLoad);
      const T* values = reinterpret_cast<const T*>(&bits);
#pragma unroll
      for (int i = 0; i < kPerLoad; ++i) v[part * kPerLoad + i] = widen(values[i]);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; ++i) v[i] = begin + i < cols ? widen(row[begin + i]) : 0.0F;
}

/// row[begin, begin + 8) = v rounded, nothing beyond cols.
template <typename T>
__device__ inline void store8(const float (&v)[kEight], T* row, std::int64_t begin,
                              std::int64_t cols, bool eights) {
  if (eights) {
    constexpr int kPerStore = 16 / sizeof(T);
#pragma unroll
    for (int part = 0; part < kEight / kPerStore; ++part) {
      uint4 bits;
      T* values = reinterpret_cast<T*>(&bits);
#pragma unroll
      for (int i = 0; i < kPerStore; ++i) values[i] = narrow<T>(v[part * kPerStore + i]);
      *reinterpret_cast<uint4*>(row + begin + part * kPerStore) = bits;
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kEight; ++i)
    if (begin + i < cols) row[begin + i] = narrow<T>(v[i]);
}

/// f over the values of all threads of a block, by a fixed tree; every thread gets the result. The
/// block is whole warps; `shared` holds 33 values and may be used again after the next
/// __syncthreads().
template <typename V, typename F>
__device__ inline V reduce_block(V v, V neutral, V* shared, const F& f) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v = f(v, __shfl_xor_sync(~0U, v, offset));
  const int warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x < 32) {
    v = static_cast<int>(threadIdx.x) < warps ? shared[threadIdx.x] : neutral;
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) v = f(v, __shfl_xor_sync(~0U, v, offset));
    if (threadIdx.x == 0) shared[32] = v;
  }
  __syncthreads();
  return shared[32];
}

template <typename V>
__device__ inline V sum_block(V v, V* shared) {
  return reduce_block(v, V{0}, shared, [](V a, V b) { return a + b; });
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
