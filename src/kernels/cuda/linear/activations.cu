#include <cfloat>

#include "kernels/cuda/linear/device.cuh"
#include "kernels/cuda/linear/entries.h"
#include "kernels/cuda/linear/reduce.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

// Activations on their way into a product: another type, or 8-bit codes with a scale for each row.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 256;
constexpr int kFewRowsScanned = 16;  ///< so many rows are searched for outliers by every block

__global__ void __launch_bounds__(kThreads) convert_rows(const __grid_constant__ Conversion call) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kThreads + threadIdx.x;
  if (column >= call.padded) return;
  float value = 0.0F;
  if (column < call.x.cols) {
    value = read_element(call.x, blockIdx.x, call.order == nullptr ? column : call.order[column]);
  }
  write_element({call.to, call.type, call.x.rows, call.padded, call.padded}, blockIdx.x, column,
                value);
}

/// Which of 32 columns have a value that reaches the threshold, in some rows; a warp asks together.
__device__ std::uint32_t outlier_word(const DeviceMatrix& x, std::int64_t word, std::int64_t first,
                                      std::int64_t last, float threshold) {
  const std::int64_t column = word * 32 + threadIdx.x % 32;
  bool found = false;
  if (column < x.cols) {
    // Every row is read, whatever was found: reads that wait for one another take ten times as
    // long.
#pragma unroll 8
    for (std::int64_t r = first; r < last; ++r) {
      found |= fabsf(read_element(x, r, column)) >= threshold;  // not for NaN
    }
  }
  return __ballot_sync(~0U, found);
}

constexpr int kRowsPerScan = 64;

__global__ void __launch_bounds__(kThreads)
    find_outliers(const __grid_constant__ Quantization call) {
  const std::int64_t word =
      static_cast<std::int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (word * 32 >= call.x.cols) return;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kRowsPerScan;
  const std::int64_t last = min(first + kRowsPerScan, call.x.rows);
  const std::uint32_t found = outlier_word(call.x, word, first, last, call.threshold);
  if (threadIdx.x % 32 == 0 && found != 0) atomicOr(&call.bitmap[word], found);
}

/// The columns of a bitmap, ascending, by one warp.
__device__ void list_columns(const std::uint32_t* bitmap, int words, const Quantization& call) {
  const int lane = threadIdx.x % 32;
  int total = 0;
  for (int first = 0; first < words; first += 32) {
    std::uint32_t word = first + lane < words ? bitmap[first + lane] : 0;
    int before = __popc(word);
    const int own = before;
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(~0U, before, step);
      if (lane >= step) before += other;
    }
    int at = total + before - own;
    total += __shfl_sync(~0U, before, 31);
    for (; word != 0; word &= word - 1) {
      call.columns[at++] = (first + lane) * 32 + __ffs(static_cast<int>(word)) - 1;
    }
  }
  if (lane != 0) return;
  *call.count = total;
  if (call.found != nullptr) atomicAdd(call.found, total);
}

enum class Apart { none, searched, listed, given };

/// Bits of the outlier columns in shared memory; block 0 writes their list.
template <Apart A>
__device__ void fill_bitmap(const Quantization& call, std::uint32_t* bitmap) {
  const int words = static_cast<int>((call.x.cols + 31) / 32);
  if constexpr (A == Apart::searched) {
    for (int word = threadIdx.x / 32; word < words; word += blockDim.x / 32) {
      const std::uint32_t found = outlier_word(call.x, word, 0, call.x.rows, call.threshold);
      if (threadIdx.x % 32 == 0) bitmap[word] = found;
    }
  } else {
    for (int word = threadIdx.x; word < words; word += blockDim.x) {
      bitmap[word] = A == Apart::listed ? call.bitmap[word] : 0;
    }
  }
  __syncthreads();
  if constexpr (A == Apart::given) {
    for (int i = threadIdx.x; i < call.fixed_count; i += blockDim.x) {
      const int column = call.fixed_columns[i];
      atomicOr(&bitmap[column / 32], 1U << (column % 32));
    }
    __syncthreads();
  }
  if (blockIdx.x == 0 && threadIdx.x < 32) list_columns(bitmap, words, call);
}

/// One row: absmax of what is no outlier, then the codes. A row that holds NaN or infinity, be it
/// in an outlier column, becomes NaN through its scale.
template <Apart A>
__global__ void __launch_bounds__(1024) quantize_rows(const __grid_constant__ Quantization call) {
  extern __shared__ std::uint32_t bitmap[];
  const std::int64_t row = blockIdx.x;
  if constexpr (A != Apart::none) fill_bitmap<A>(call, bitmap);
  const auto apart = [&](std::int64_t column) {
    return A != Apart::none && (bitmap[column / 32] >> (column % 32) & 1U) != 0;
  };
  std::uint32_t largest = 0, any = 0;
  for (std::int64_t column = threadIdx.x; column < call.x.cols; column += blockDim.x) {
    const std::uint32_t bits = magnitude_bits(read_element(call.x, row, column));
    any = max(any, bits);
    if (!apart(column)) largest = max(largest, bits);
  }
  largest = block_max(largest);
  any = block_max(any);
  const bool finite = any < kInfinityBits;
  // The same operations for a range that is given, as on the CPU.
  const float scale = call.static_range > 0.0F ? call.static_range : __uint_as_float(largest);
  const float factor = scale > 0.0F ? fminf(127.0F / scale, FLT_MAX) : 0.0F;
  if (threadIdx.x == 0) call.row_scales[row] = finite ? scale : __uint_as_float(0x7fc00000U);
  std::uint8_t* codes = call.codes + row * call.padded;
  for (std::int64_t first = threadIdx.x * 4; first < call.padded; first += blockDim.x * 4) {
    std::uint32_t four = 0;
    for (int i = 0; i < 4; ++i) {
      const std::int64_t column = first + i;
      if (!finite || column >= call.x.cols || apart(column)) continue;
      const float rounded = rintf(read_element(call.x, row, column) * factor);
      const int code = static_cast<int>(fminf(fmaxf(rounded, -127.0F), 127.0F));
      four |= (static_cast<std::uint32_t>(code) & 0xffU) << (8 * i);
    }
    *reinterpret_cast<std::uint32_t*>(codes + first) = four;
  }
}

__global__ void __launch_bounds__(kThreads)
    quantize_rows_fp8(const __grid_constant__ Quantization call) {
  const std::int64_t row = blockIdx.x;
  std::uint32_t largest = 0;
  for (std::int64_t column = threadIdx.x; column < call.x.cols; column += kThreads) {
    largest = max(largest, magnitude_bits(read_element(call.x, row, column)));
  }
  largest = block_max(largest);
  const bool finite = largest < kInfinityBits;
  const float scale = __fdiv_rn(__uint_as_float(largest), 448.0F);
  if (threadIdx.x == 0) call.row_scales[row] = finite ? scale : __uint_as_float(0x7fc00000U);
  std::uint8_t* codes = call.codes + row * call.padded;
  for (std::int64_t column = threadIdx.x; column < call.padded; column += kThreads) {
    const bool there = finite && column < call.x.cols;
    codes[column] =
        static_cast<std::uint8_t>(there ? fp8_code(read_element(call.x, row, column), scale) : 0U);
  }
}

template <Apart A>
void launch_rows(const Quantization& call, cudaStream_t stream) {
  const std::size_t shared = A == Apart::none ? 0 : (call.x.cols + 31) / 32 * 4;
  // Few rows leave most of the device idle: the more threads a row has, the sooner it is done.
  const int threads = call.x.rows <= kFewRowsScanned ? 1024 : kThreads;
  quantize_rows<A><<<static_cast<unsigned>(call.x.rows), threads, shared, stream>>>(call);
}

}  // namespace

void convert(const Conversion& call) {
  const dim3 grid(static_cast<unsigned>(call.x.rows),
                  static_cast<unsigned>((call.padded + kThreads - 1) / kThreads));
  convert_rows<<<grid, kThreads, 0, static_cast<cudaStream_t>(call.stream)>>>(call);
}

void quantize_int8(const Quantization& call) {
  const auto stream = static_cast<cudaStream_t>(call.stream);
  if (call.fixed_columns != nullptr) return launch_rows<Apart::given>(call, stream);
  if (!(call.threshold > 0.0F)) return launch_rows<Apart::none>(call, stream);
  if (call.x.rows <= kFewRowsScanned) return launch_rows<Apart::searched>(call, stream);
  const auto words = static_cast<unsigned>((call.x.cols + 31) / 32);
  cudaMemsetAsync(call.bitmap, 0, words * sizeof(std::uint32_t), stream);
  const dim3 grid((words + kThreads / 32 - 1) / (kThreads / 32),
                  static_cast<unsigned>((call.x.rows + kRowsPerScan - 1) / kRowsPerScan));
  find_outliers<<<grid, kThreads, 0, stream>>>(call);
  launch_rows<Apart::listed>(call, stream);
}

void quantize_fp8(const Quantization& call) {
  quantize_rows_fp8<<<static_cast<unsigned>(call.x.rows), kThreads, 0,
                      static_cast<cudaStream_t>(call.stream)>>>(call);
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
