#include "kernels/cuda/linear/device.cuh"
#include "kernels/cuda/linear/entries.h"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

// Stored codes into the packed layout (arguments.h), and the search for what is not finite.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 256;

/// A thread for each of `count` things, in a loop where the grid is smaller.
unsigned blocks_for(std::int64_t count) {
  const std::int64_t blocks = (count + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 65536 ? blocks : 65536);
}
template <typename Body>
__device__ void for_each(std::int64_t count, const Body& body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += step) {
    body(i);
  }
}

__global__ void __launch_bounds__(kThreads) pad_rows(const Repacking call, int row_bytes) {
  for_each(call.rows * call.row_bytes, [&](std::int64_t i) {
    const std::int64_t row = i / call.row_bytes, byte = i % call.row_bytes;
    call.codes[i] = byte < row_bytes ? call.stored[row * row_bytes + byte] : 0;
  });
}

__global__ void __launch_bounds__(kThreads) swap_nibbles(const Repacking call) {
  for_each(call.rows * call.row_bytes, [&](std::int64_t i) {
    const unsigned pair = call.stored[i];
    call.codes[i] = static_cast<std::uint8_t>(pair >> 4 | pair << 4);
  });
}

/// Blocks of 32 weights: `numbers` fp16 numbers, then 16 bytes with weight j in the low and weight
/// j + 16 in the high nibble.
__global__ void __launch_bounds__(kThreads) take_q4_apart(const Repacking call, int numbers) {
  auto* scales = static_cast<std::uint8_t*>(call.scales);
  for_each(call.rows * call.cols / 32, [&](std::int64_t b) {
    const std::uint8_t* block = call.stored + b * (2 * numbers + 16);
    for (int i = 0; i < 2 * numbers; ++i) scales[b * 2 * numbers + i] = block[i];
    const std::uint8_t* pairs = block + 2 * numbers;
    std::uint8_t* codes = call.codes + b * 16;
    for (int i = 0; i < 8; ++i) {
      const unsigned first = pairs[2 * i], second = pairs[2 * i + 1];
      codes[i] = static_cast<std::uint8_t>((first & 0xfU) | second << 4);
      codes[i + 8] = static_cast<std::uint8_t>(first >> 4 | (second & 0xf0U));
    }
  });
}

__global__ void __launch_bounds__(kThreads) take_q8_0_apart(const Repacking call) {
  auto* scales = static_cast<std::uint8_t*>(call.scales);
  for_each(call.rows * call.cols, [&](std::int64_t i) {
    const std::uint8_t* block = call.stored + i / 32 * 34;
    call.codes[i] = block[2 + i % 32];
    if (i % 32 < 2) scales[i / 32 * 2 + i % 32] = block[i % 32];
  });
}

template <typename T, unsigned Exponent>
__global__ void __launch_bounds__(kThreads)
    search(const std::uint8_t* stored, std::int64_t count, unsigned long long* first) {
  const auto* values = reinterpret_cast<const T*>(stored);
  for_each(count, [&](std::int64_t i) {
    if ((values[i] & Exponent) == Exponent) {
      atomicMin(first, static_cast<unsigned long long>(i));
    }
  });
}

cudaStream_t stream_of(const Repacking& call) { return static_cast<cudaStream_t>(call.stream); }

}  // namespace

void repack_rows(const Repacking& call, int row_bytes) {
  pad_rows<<<blocks_for(call.rows * call.row_bytes), kThreads, 0, stream_of(call)>>>(call,
                                                                                     row_bytes);
}
void repack_four_bit(const Repacking& call) {
  swap_nibbles<<<blocks_for(call.rows * call.row_bytes), kThreads, 0, stream_of(call)>>>(call);
}
void repack_q4(const Repacking& call, int numbers) {
  take_q4_apart<<<blocks_for(call.rows * call.cols / 32), kThreads, 0, stream_of(call)>>>(call,
                                                                                          numbers);
}
void repack_q8_0(const Repacking& call) {
  take_q8_0_apart<<<blocks_for(call.rows * call.cols), kThreads, 0, stream_of(call)>>>(call);
}

void find_not_finite(const Search& call) {
  const auto stream = static_cast<cudaStream_t>(call.stream);
  const unsigned blocks = blocks_for(call.count);
  switch (call.what) {
    case Search::f32:
      search<std::uint32_t, 0x7f800000U>
          <<<blocks, kThreads, 0, stream>>>(call.values, call.count, call.first);
      break;
    case Search::f16:
      search<std::uint16_t, 0x7c00U>
          <<<blocks, kThreads, 0, stream>>>(call.values, call.count, call.first);
      break;
    case Search::bf16:
      search<std::uint16_t, 0x7f80U>
          <<<blocks, kThreads, 0, stream>>>(call.values, call.count, call.first);
      break;
    case Search::fp8:
      search<std::uint8_t, 0x7fU>
          <<<blocks, kThreads, 0, stream>>>(call.values, call.count, call.first);
      break;
  }
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
