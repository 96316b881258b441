// What is read off rows: maxima, sums of exponentials, means, elements, the check for numbers.

#include <math_constants.h>

#include "kernels/cuda/rows/grid.cuh"
#include "kernels/cuda/rows/launchers.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 1024;

template <typename T>
__global__ void __launch_bounds__(256) check_rows(DeviceMatrix x, std::int32_t* flag, bool eights) {
  bool bad = false;
  for_each_piece(x.rows, x.cols, [&](std::int64_t row, std::int64_t begin) {
    float v[kEight];
    load8(row_of<const T>(x, row), begin, x.cols, eights, v);
#pragma unroll
    for (int i = 0; i < kEight; ++i) bad = bad || !isfinite(v[i]);
  });
  if (bad) atomicAdd(flag, 1);
}

struct Best {
  float value;
  std::int32_t index;
};
/// The larger; of equals the first; NaN is no candidate.
__device__ inline Best better(Best a, Best b) {
  if (a.value != b.value) return a.value > b.value ? a : b;
  return a.index < b.index ? a : b;
}

/// As sum_block(), for the largest of a row; `nan` of any thread is for all.
__device__ inline Best best_of_block(Best best, bool* nan, Best* shared) {
  *nan = __syncthreads_or(*nan);
  const auto shuffled = [](Best b, int offset) {
    return Best{__shfl_xor_sync(~0U, b.value, offset), __shfl_xor_sync(~0U, b.index, offset)};
  };
  for (int offset = 16; offset > 0; offset /= 2) best = better(best, shuffled(best, offset));
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x < 32) {
    best = shared[threadIdx.x];
    for (int offset = 16; offset > 0; offset /= 2) best = better(best, shuffled(best, offset));
    if (threadIdx.x == 0) shared[0] = best;
  }
  __syncthreads();
  return shared[0];
}

/// A block a row; the exponentials and their sum are doubles.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    statistics_of_rows(DeviceMatrix x, std::int32_t* argmax, double* log_sum_exp, bool eights) {
  __shared__ Best best_shared[32];
  __shared__ double sum_shared[33];
  const T* row = row_of<const T>(x, blockIdx.x);
  Best best{-CUDART_INF_F, 0x7fffffff};
  bool nan = false;
  for (std::int64_t at = threadIdx.x * kEight; at < x.cols; at += kThreads * kEight) {
    float v[kEight];
    load8(row, at, x.cols, eights, v);
#pragma unroll
    for (int i = 0; i < kEight; ++i) {
      if (at + i >= x.cols) break;
      nan = nan || isnan(v[i]);
      if (!isnan(v[i])) best = better(best, {v[i], static_cast<std::int32_t>(at + i)});
    }
  }
  best = best_of_block(best, &nan, best_shared);
  if (threadIdx.x == 0 && argmax != nullptr)
    argmax[blockIdx.x] = best.index == 0x7fffffff ? 0 : best.index;
  if (log_sum_exp == nullptr) return;
  if (nan || !isfinite(best.value)) {
    if (threadIdx.x == 0) log_sum_exp[blockIdx.x] = nan ? CUDART_NAN : double{best.value};
    return;
  }
  const double base = best.value;
  double sum = 0.0;
  for (std::int64_t at = threadIdx.x * kEight; at < x.cols; at += kThreads * kEight) {
    float v[kEight];
    load8(row, at, x.cols, eights, v);
#pragma unroll
    for (int i = 0; i < kEight; ++i)
      if (at + i < x.cols) sum += exp(double{v[i]} - base);
  }
  sum = sum_block(sum, sum_shared);
  if (threadIdx.x == 0) log_sum_exp[blockIdx.x] = base + log(sum);
}

template <typename T>
__global__ void __launch_bounds__(256)
    pick_elements(DeviceMatrix x, const std::int32_t* rows, const std::int32_t* columns,
                  std::int64_t count, float* values) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i < count) values[i] = widen(row_of<const T>(x, rows[i])[columns[i]]);
}

/// Mean of column c over the rows of a sequence.
template <typename T>
__device__ double mean_of(const DeviceMatrix& x, const SequenceData& s, std::int64_t c) {
  double sum = 0.0;
  for (std::int32_t r = 0; r < s.query_count; ++r)
    sum += double{widen(row_of<const T>(x, s.query_begin + r)[c])};
  return sum / s.query_count;
}

/// A block a sequence; the rows are read twice where the result is normalized.
template <typename X, typename Y>
__global__ void __launch_bounds__(kThreads)
    mean_of_rows(DeviceMatrix x, const SequenceData* sequences, bool normalize, DeviceMatrix y) {
  __shared__ double shared[33];
  const SequenceData s = sequences[blockIdx.x];
  double factor = 1.0;
  if (normalize) {
    double squares = 0.0;
    for (std::int64_t c = threadIdx.x; c < x.cols; c += kThreads) {
      const double m = mean_of<X>(x, s, c);
      squares += m * m;
    }
    const double norm = sqrt(sum_block(squares, shared));
    factor = norm > 0.0 ? 1.0 / norm : 1.0;
  }
  for (std::int64_t c = threadIdx.x; c < x.cols; c += kThreads)
    row_of<Y>(y, blockIdx.x)[c] = narrow<Y>(static_cast<float>(mean_of<X>(x, s, c) * factor));
}

}  // namespace

void note_non_finite(DeviceMatrix x, std::int32_t* flag, cudaStream_t stream) {
  if (empty(x)) return;
  const RowGrid g = row_grid(x.rows, x.cols);
  dispatch(x.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    check_rows<T><<<g.grid, g.block, 0, stream>>>(x, flag, in_eights<T>(x));
  });
}

void row_statistics(DeviceMatrix logits, std::int32_t* argmax, double* log_sum_exp,
                    cudaStream_t stream) {
  if (empty(logits)) return;
  dispatch(logits.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    statistics_of_rows<T><<<static_cast<unsigned>(logits.rows), kThreads, 0, stream>>>(
        logits, argmax, log_sum_exp, in_eights<T>(logits));
  });
}

void gather_elements(DeviceMatrix logits, const std::int32_t* rows, const std::int32_t* columns,
                     std::int64_t count, float* values, cudaStream_t stream) {
  if (count == 0) return;
  dispatch(logits.type, [&](auto tag) {
    pick_elements<typename decltype(tag)::type>
        <<<static_cast<unsigned>((count + 255) / 256), 256, 0, stream>>>(logits, rows, columns,
                                                                         count, values);
  });
}

void mean_rows(DeviceMatrix x, const SequenceData* sequences, int count, bool normalize,
               DeviceMatrix y, cudaStream_t stream) {
  if (count == 0 || x.cols == 0) return;
  dispatch(x.type, [&](auto xt) {
    dispatch(y.type, [&](auto yt) {
      mean_of_rows<typename decltype(xt)::type, typename decltype(yt)::type>
          <<<static_cast<unsigned>(count), kThreads, 0, stream>>>(x, sequences, normalize, y);
    });
  });
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
