#pragma once

#include <type_traits>

#include "kernels/cuda/linear/codes.cuh"

// Up to sixteen rows of activations: bound by reading the weights. A block takes 16 rows of the
// weight, its warps every so many-th part of the depth. The weights are the left operand of the
// tensor-core product and go from global memory to its registers without a stop in shared memory:
// which depth stands where in the product does not matter as long as both operands agree, so that
// every thread reads 16 bytes in one piece.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

inline constexpr int kFewRows = 16;
inline constexpr int kMostWarps = 8;

/// Sum over outlier columns of activation times code, for 16 rows of the weight: work of one warp
/// more, beside those that multiply the rest. Its lanes take every second column.
template <int Rows>
struct OutlierSums {
  float parts[2][16][Rows];

  /// T: type of the activations, as they came.
  template <typename T>
  __device__ void add(const Call& call, int n0) {
    const int lane = threadIdx.x % 32, part = lane / 16;
    const std::uint8_t* codes =
        call.weight.codes + min(n0 + lane % 16, call.weight.n - 1) * call.weight.row_bytes;
    const auto* x = static_cast<const T*>(call.outliers.x.data);
    const std::int64_t stride = call.outliers.x.stride;
    const int count = *call.outliers.count;
    float sums[Rows] = {};
#pragma unroll 4
    for (int i = part; i < count; i += 2) {
      const int column = call.outliers.columns[i];
      const auto code = static_cast<float>(static_cast<std::int8_t>(codes[column]));
#pragma unroll
      for (int r = 0; r < Rows; ++r) {
        if (r < call.x.m) {
          sums[r] = fmaf(static_cast<float>(x[r * stride + column]), code, sums[r]);
        }
      }
    }
#pragma unroll
    for (int r = 0; r < Rows; ++r) parts[part][lane % 16][r] = sums[r];
  }
  __device__ void add(const Call& call, int n0) {
    switch (call.outliers.x.type) {
      case Element::f32:
        return add<float>(call, n0);
      case Element::f16:
        return add<__half>(call, n0);
      case Element::bf16:
        return add<__nv_bfloat16>(call, n0);
    }
  }
  __device__ float sum(int row, int r) const { return parts[0][row][r] + parts[1][row][r]; }
};

/// What every sum of a row of x is multiplied with.
__device__ inline float row_scale(const Call& call, int row) {
  return call.row_scales == nullptr ? 1.0F : call.row_scales[row] * call.row_factor;
}

/// y of a sum of products of codes. The scales are multiplied first: a sum of products of codes
/// times the scale of a row of very large activations could leave f32's range.
template <typename Codes, typename Acc>
__device__ inline float finished(const Call& call, Acc sum, int row, int r, float apart) {
  const float scale = column_scale<Codes>(call.weight, row) * call.column_factor;
  float value = static_cast<float>(sum) * (row_scale(call, r) * scale) + apart * scale;
  if (call.bias != nullptr) value += call.bias[row];
  return value;
}

template <typename Mma>
__device__ inline void multiply_part(typename Mma::Acc (&c)[4], const uint4& w0, const uint4& w1,
                                     const uint4& x) {
  const std::uint32_t first[4] = {w0.x, w1.x, w0.y, w1.y};
  const std::uint32_t second[4] = {w0.z, w1.z, w0.w, w1.w};
  Mma::run(c, first, x.x, x.y);
  Mma::run(c, second, x.z, x.w);
}

/// What a thread of the few-row kernel works on: two rows of the weight, chunk by chunk, and one
/// row of x in each group of eight.
template <typename Mma, typename Codes, int Groups>
struct FewRows {
  /// Chunks of each row that are read at a time: with 32 weights each, decoding hides the rest.
  static constexpr int kAhead = Codes::kPerChunk == 32 ? 1 : 2;
  struct Pair {
    Chunk a, b;
  };
  const Call& call;
  Tables tables;
  WeightRow row0, row1;
  int chunks, step;
  const std::uint8_t* x[Groups];
  int x_bytes[Groups];
  typename Mma::Acc c[Groups][4] = {};

  __device__ FewRows(const Call& of, const Tables& with, int n0, int warps)
      : call(of), tables(with), step(warps * 4) {
    const int g = threadIdx.x % 32 / 4;
    row0 = row_of<Codes>(call.weight, min(n0 + g, call.weight.n - 1));
    row1 = row_of<Codes>(call.weight, min(n0 + g + 8, call.weight.n - 1));
    chunks = call.weight.depth / Codes::kPerChunk;
#pragma unroll
    for (int q = 0; q < Groups; ++q) {
      const int row = q * 8 + g;
      x[q] = call.x.data + min(row, call.x.m - 1) * call.x.stride;
      x_bytes[q] = row < call.x.m ? call.x.row_bytes : 0;
    }
  }
  /// Beyond the end any chunk will do, the activations there are zero: without a condition all
  /// loads are under way at once.
  __device__ void load(int first, Pair (&pairs)[kAhead]) const {
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int k = min(first + u * step, chunks - 1) * Codes::kPerChunk;
      pairs[u].a = Codes::load(call.weight, tables, row0, k);
      pairs[u].b = Codes::load(call.weight, tables, row1, k);
    }
  }
  __device__ void multiply(int first, const Pair (&pairs)[kAhead]) {
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
#pragma unroll
      for (int j = 0; j < kParts<Codes>; ++j) {
        const int at = ((first + u * step) * kParts<Codes> + j) * 16;
        const uint4 a = operands<Mma, Codes>(pairs[u].a, tables, j);
        const uint4 b = operands<Mma, Codes>(pairs[u].b, tables, j);
#pragma unroll
        for (int q = 0; q < Groups; ++q) {
          const uint4 in = at < x_bytes[q] ? __ldg(reinterpret_cast<const uint4*>(x[q] + at))
                                           : uint4{0, 0, 0, 0};
          multiply_part<Mma>(c[q], a, b, in);
        }
      }
    }
  }
  /// All of a warp's part of the depth, the next chunks being read while those in hand are used.
  __device__ void run(int warp) {
    const int own = threadIdx.x % 4;
    Pair now[kAhead], next[kAhead];
    load(warp * 4 + own, now);
    for (int first = warp * 4; first < chunks; first += step * kAhead) {
      load(first + own + step * kAhead, next);
      __syncwarp();  // without it the compiler moves every load to its use
      multiply(first + own, now);
#pragma unroll
      for (int u = 0; u < kAhead; ++u) now[u] = next[u];
    }
  }
};

template <typename Mma, typename Codes, int Groups>
__global__ void __launch_bounds__(32 * (kMostWarps + 1))
    few_rows(const __grid_constant__ Call call, const int warps) {
  using Acc = typename Mma::Acc;
  constexpr bool kApart = Codes::kCode == Code::int8 && Codes::kDirect;
  constexpr int kRows = 8 * Groups;
  __shared__ Acc sums[kMostWarps][16][kRows];
  __shared__ TableStorage<Codes::kTables> storage;
  __shared__ typename std::conditional<kApart, OutlierSums<kRows>, char>::type apart;
  const int warp = threadIdx.x / 32, n0 = blockIdx.x * 16;
  const Tables tables = storage.fill(call.weight);
  if constexpr (Codes::kTables) __syncthreads();
  if (warp < warps) {
    FewRows<Mma, Codes, Groups> work(call, tables, n0, warps);
    work.run(warp);
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int q = 0; q < Groups; ++q) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[warp][g + e / 2 * 8][q * 8 + 2 * t + e % 2] = work.c[q][e];
    }
  } else if constexpr (kApart) {
    apart.add(call, n0);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 16 * kRows; i += blockDim.x) {
    const int r = i / 16, row = i % 16;
    if (r >= call.x.m || n0 + row >= call.weight.n) continue;
    Acc total = sums[0][row][r];
    for (int j = 1; j < warps; ++j) total += sums[j][row][r];
    float extra = 0.0F;
    if constexpr (kApart) {
      if (call.outliers.columns != nullptr) extra = apart.sum(row, r);
    }
    write_element(call.y, r, n0 + row, finished<Codes>(call, total, n0 + row, r, extra));
  }
}

template <typename Mma, typename Codes, int Groups>
void launch_groups(const Call& call) {
  // Four warps where there are blocks enough to fill the device with them, else eight.
  const int warps = call.weight.n / 16 >= call.multiprocessors * 5 ? 4 : kMostWarps;
  const int threads = 32 * (warps + (call.outliers.columns != nullptr ? 1 : 0));
  few_rows<Mma, Codes, Groups>
      <<<(call.weight.n + 15) / 16, threads, 0, static_cast<cudaStream_t>(call.stream)>>>(call,
                                                                                          warps);
}

template <typename Mma, typename Codes>
void launch_few_rows(const Call& call) {
  if (call.x.m <= 8) {
    launch_groups<Mma, Codes, 1>(call);
  } else {
    launch_groups<Mma, Codes, 2>(call);
  }
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
