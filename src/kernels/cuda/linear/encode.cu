#include "kernels/cuda/linear/device.cuh"
#include "kernels/cuda/linear/entries.h"
#include "kernels/cuda/linear/reduce.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

// Weights of the device into codes there: the arithmetic of precision/encodings, rounding by
// rounding. Nothing here may be contracted or reordered.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 256;

__device__ void report_row(unsigned long long* bad, std::int64_t row) {
  if (threadIdx.x == 0) atomicMin(bad, static_cast<unsigned long long>(row));
}

/// The weight rounded to fp16, then code = rint(w * (127 / absmax)).
__global__ void __launch_bounds__(kThreads) int8_rows(const __grid_constant__ Encoding8 call) {
  const std::int64_t row = blockIdx.x;
  const auto half = [&](std::int64_t column) {
    return __half2float(__float2half_rn(read_element(call.weight, row, column)));
  };
  std::uint32_t largest = 0;
  for (std::int64_t c = threadIdx.x; c < call.weight.cols; c += kThreads) {
    largest = max(largest, magnitude_bits(half(c)));
  }
  largest = block_max(largest);
  if (largest >= kInfinityBits)
    return report_row(call.bad, row);  // too large for fp16, or so before
  const float absmax = __uint_as_float(largest);
  const float factor = absmax > 0.0F ? __fdiv_rn(127.0F, absmax) : 0.0F;
  if (threadIdx.x == 0) call.scales[row] = absmax;
  for (std::int64_t c = threadIdx.x; c < call.row_bytes; c += kThreads) {
    const float code = c < call.weight.cols ? rintf(__fmul_rn(half(c), factor)) : 0.0F;
    call.codes[row * call.row_bytes + c] = static_cast<std::uint8_t>(static_cast<int>(code));
  }
}

/// code = the nearest to w / scale, scale = absmax / 448.
__global__ void __launch_bounds__(kThreads) fp8_rows(const __grid_constant__ Encoding8 call) {
  const std::int64_t row = blockIdx.x;
  std::uint32_t largest = 0;
  for (std::int64_t c = threadIdx.x; c < call.weight.cols; c += kThreads) {
    largest = max(largest, magnitude_bits(read_element(call.weight, row, c)));
  }
  largest = block_max(largest);
  if (largest >= kInfinityBits) return report_row(call.bad, row);
  const float scale = __fdiv_rn(__uint_as_float(largest), 448.0F);
  if (threadIdx.x == 0) call.scales[row] = scale;
  for (std::int64_t c = threadIdx.x; c < call.row_bytes; c += kThreads) {
    call.codes[row * call.row_bytes + c] = static_cast<std::uint8_t>(
        c < call.weight.cols ? fp8_code(read_element(call.weight, row, c), scale) : 0U);
  }
}

/// A warp encodes a block of 64 weights, two to a lane.
__global__ void __launch_bounds__(kThreads)
    four_bit_blocks(const __grid_constant__ Encoding4 call) {
  const std::int64_t block =
      static_cast<std::int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  const std::int64_t first = block * 64;
  if (first >= call.weight.rows * call.weight.cols) return;
  const std::int64_t row = first / call.weight.cols;
  const std::int64_t column = first % call.weight.cols + threadIdx.x % 32 * 2;
  const float values[2] = {read_element(call.weight, row, column),
                           read_element(call.weight, row, column + 1)};
  std::uint32_t largest = max(magnitude_bits(values[0]), magnitude_bits(values[1]));
  for (int step = 16; step > 0; step /= 2) {
    largest = max(largest, __shfl_xor_sync(~0U, largest, step));
  }
  if (largest >= kInfinityBits) {
    atomicMin(call.bad, static_cast<unsigned long long>(row));
    return;
  }
  const float absmax = __uint_as_float(largest);
  const float reciprocal = __fdiv_rn(1.0F, fmaxf(absmax, 1e-38F));
  std::uint32_t codes[2];
  for (int i = 0; i < 2; ++i) {
    const float scaled = __fmul_rn(values[i], reciprocal);
    int rank = 0;
    for (const float bound : call.bounds) rank += scaled > bound ? 1 : 0;
    codes[i] = call.order[rank];
  }
  call.codes[row * call.row_bytes + column / 2] =
      static_cast<std::uint8_t>(codes[0] | codes[1] << 4);
  if (threadIdx.x % 32 == 0) call.scales[block] = absmax;
}

constexpr int kNestedBlock = 256;

/// Scales less the offset, in blocks of 256, to the nearest entry of the map; the lower one at a
/// midpoint.
__global__ void __launch_bounds__(kNestedBlock) nest_scales(const __grid_constant__ Nesting call) {
  __shared__ float bounds[255];
  if (threadIdx.x < 255) {
    bounds[threadIdx.x] =
        __fmul_rn(__fadd_rn(call.nested[threadIdx.x], call.nested[threadIdx.x + 1]), 0.5F);
  }
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * kNestedBlock + threadIdx.x;
  const bool there = at < call.count;
  const bool partial = (blockIdx.x + 1LL) * kNestedBlock > call.count;
  const float centred = there ? __fsub_rn(call.scales[at], call.offset) : 0.0F;
  const std::uint32_t largest = block_max(magnitude_bits(centred));  // with barriers
  if (largest >= kInfinityBits) return report_row(call.bad, blockIdx.x);
  const float absmax = __uint_as_float(largest), divisor = fmaxf(absmax, 1e-38F);
  const float scaled =
      partial ? __fdiv_rn(centred, divisor) : __fmul_rn(centred, __fdiv_rn(1.0F, divisor));
  if (threadIdx.x == 0) call.nested[256 + blockIdx.x] = absmax;
  if (!there) return;
  int code = 0;  // bounds below the value
  for (int step = 128; step > 0; step /= 2) {
    if (code + step <= 255 && bounds[code + step - 1] < scaled) code += step;
  }
  call.codes[at] = static_cast<std::uint8_t>(code);
}

}  // namespace

void encode_int8(const Encoding8& call) {
  int8_rows<<<static_cast<unsigned>(call.weight.rows), kThreads, 0,
              static_cast<cudaStream_t>(call.stream)>>>(call);
}
void encode_fp8(const Encoding8& call) {
  fp8_rows<<<static_cast<unsigned>(call.weight.rows), kThreads, 0,
             static_cast<cudaStream_t>(call.stream)>>>(call);
}
void encode_four_bit(const Encoding4& call) {
  const std::int64_t blocks = call.weight.rows * call.weight.cols / 64;
  four_bit_blocks<<<static_cast<unsigned>((blocks + 7) / 8), kThreads, 0,
                    static_cast<cudaStream_t>(call.stream)>>>(call);
}
void nest(const Nesting& call) {
  const std::int64_t blocks = (call.count + kNestedBlock - 1) / kNestedBlock;
  nest_scales<<<static_cast<unsigned>(blocks), kNestedBlock, 0,
                static_cast<cudaStream_t>(call.stream)>>>(call);
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
