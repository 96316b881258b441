#pragma once

#include <cstdint>

// Largest magnitudes of a block of threads, and fp8 codes: what activations and weights share when
// they are quantized.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

/// The largest of a block's values; every thread gets it.
__device__ inline std::uint32_t block_max(std::uint32_t value) {
  __shared__ std::uint32_t largest[32];
  for (int step = 16; step > 0; step /= 2) {
    value = max(value, __shfl_xor_sync(~0U, value, step));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) largest[threadIdx.x / 32] = value;
  __syncthreads();
  for (unsigned i = 0; i < blockDim.x / 32; ++i) value = max(value, largest[i]);
  return value;
}

/// Bits of a magnitude: in this order NaN is above infinity, and infinity above every number.
__device__ inline std::uint32_t magnitude_bits(float value) {
  return __float_as_uint(value) & 0x7fffffffU;
}
inline constexpr std::uint32_t kInfinityBits = 0x7f800000U;

/// The nearest e4m3 code, ties to even; |value| is at most 448 but for rounding.
__device__ inline std::uint32_t fp8_code(float value) {
  const std::uint32_t sign = __float_as_uint(value) >> 24 & 0x80U;
  const float magnitude = fminf(fabsf(value), 448.0F);
  // A denormal code: where 2^14 is added, f32's last place is 2^-9.
  if (magnitude < 0.015625F) return sign | (__float_as_uint(magnitude + 16384.0F) & 0xffU);
  const std::uint32_t u = __float_as_uint(magnitude);
  return sign | (((u + 0x7ffffU + (u >> 20 & 1U)) >> 20) - 960U);
}

/// Of a value of a row whose scale is absmax / 448; zero where that is zero.
__device__ inline std::uint32_t fp8_code(float value, float scale) {
  return scale > 0.0F ? fp8_code(__fdiv_rn(value, scale)) : 0U;
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
