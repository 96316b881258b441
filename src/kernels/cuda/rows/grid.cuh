#pragma once

#include "kernels/cuda/values.cuh"

// How a matrix is spread over threads: a thread works on pieces of eight elements of a row; narrow
// matrices put several rows into one block.

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

struct RowGrid {
  dim3 grid;
  dim3 block;
};

inline RowGrid row_grid(std::int64_t rows, std::int64_t cols) {
  constexpr unsigned kThreads = 256;
  constexpr std::int64_t kMostRows = 65535;
  const std::int64_t pieces = (cols + kEight - 1) / kEight;
  unsigned wide = 1;
  while (wide < kThreads && wide < pieces) wide *= 2;
  const unsigned high = kThreads / wide;
  const std::int64_t blocks = (rows + high - 1) / high;
  return {dim3(static_cast<unsigned>((pieces + wide - 1) / wide),
               static_cast<unsigned>(blocks < kMostRows ? blocks : kMostRows)),
          dim3(wide, high)};
}

/// Calls f(row, first column) for the pieces of this thread.
template <typename F>
__device__ inline void for_each_piece(std::int64_t rows, std::int64_t cols, const F& f) {
  const std::int64_t begin =
      (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kEight;
  if (begin >= cols) return;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.y) * blockDim.y;
  std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
  for (; row < rows; row += step) f(row, begin);
}

template <typename T>
__device__ inline T* row_of(const DeviceMatrix& m, std::int64_t row) {
  return static_cast<T*>(m.data) + row * m.stride;
}

inline bool empty(const DeviceMatrix& m) { return m.rows == 0 || m.cols == 0; }

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
