#include "kernels/cuda/linear/entries.h"
#include "precision/synthetic_numbers.h"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

// Weights of synthetic models, by the definitions that the host uses.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 256;
constexpr int kPairs = 4;  // of a thread: 16 bytes

/// The product must be rounded before it becomes bf16, which it is: nothing is added to it.
__device__ std::uint32_t pair_bits(const Synthesis& call, std::uint32_t pair) {
  const precision::PhiloxPair words = precision::philox(pair, call.word, call.key);
  const auto bits = [&](std::uint32_t word) -> std::uint32_t {
    return tensor::BFloat16(static_cast<float>(precision::byte_sum(word)) * call.scale).bits;
  };
  return bits(words.first) | bits(words.second) << 16;
}

__global__ void __launch_bounds__(kThreads)
    synthesize_elements(const __grid_constant__ Synthesis call) {
  const std::int64_t first =
      (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kPairs;
  const std::int64_t pairs = call.count / 2;
  std::uint32_t made[kPairs];
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    made[i] = pair_bits(call, static_cast<std::uint32_t>(first + i));
  }
  if (first + kPairs <= pairs) {
    *reinterpret_cast<uint4*>(call.elements + 2 * first) = {made[0], made[1], made[2], made[3]};
    return;
  }
  for (int i = 0; i < kPairs && 2 * (first + i) < call.count; ++i) {
    const std::int64_t at = 2 * (first + i);
    call.elements[at] = static_cast<std::uint16_t>(made[i]);
    if (at + 1 < call.count) call.elements[at + 1] = static_cast<std::uint16_t>(made[i] >> 16);
  }
}

__global__ void __launch_bounds__(kThreads) patch_elements(const __grid_constant__ Patching call) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= call.row_count * call.column_count) return;
  const std::int64_t row = at / call.column_count, i = at % call.column_count;
  const std::int64_t to = call.rows == nullptr ? row : call.rows[row];
  call.elements[to * call.cols + call.columns[i]] = call.values[i];
}

unsigned blocks_of(std::int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

}  // namespace

void synthesize(const Synthesis& call) {
  const std::int64_t pairs = (call.count + 1) / 2;
  synthesize_elements<<<blocks_of((pairs + kPairs - 1) / kPairs), kThreads, 0,
                        static_cast<cudaStream_t>(call.stream)>>>(call);
}

void patch(const Patching& call) {
  patch_elements<<<blocks_of(call.row_count * call.column_count), kThreads, 0,
                   static_cast<cudaStream_t>(call.stream)>>>(call);
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
