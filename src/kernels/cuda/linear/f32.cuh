#pragma once

#include "kernels/cuda/linear/many_rows.cuh"

// Products in f32, without tensor cores: plain f32 weights and decoded ones. Every output is one
// accumulator over ascending depth in the tiles; with few rows, lanes take parts of the depth.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

template <typename Codes>
inline constexpr int kValues = Codes::kPerChunk < 8 ? Codes::kPerChunk : 8;

__device__ inline void read_floats(const float* from, float (&v)[4]) {
  const float4 four = __ldg(reinterpret_cast<const float4*>(from));
  v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}

/// A warp computes two columns of y for M rows, from row blockIdx.y * M on.
template <typename Codes, int M>
__global__ void __launch_bounds__(256) few_rows_f32(const __grid_constant__ Call call) {
  constexpr int kColumns = 2, kV = kValues<Codes>;
  __shared__ TableStorage<Codes::kTables> storage;
  const Weight& w = call.weight;
  const Tables tables = storage.fill(w);
  if constexpr (Codes::kTables) __syncthreads();
  const int lane = threadIdx.x % 32;
  const int column0 = (blockIdx.x * 8 + threadIdx.x / 32) * kColumns;
  const int depth = call.x.row_bytes / 4, row0 = blockIdx.y * M;
  WeightRow rows[kColumns];
#pragma unroll
  for (int c = 0; c < kColumns; ++c) rows[c] = row_of<Codes>(w, min(column0 + c, w.n - 1));
  float sums[M][kColumns] = {};
#pragma unroll 2
  for (int k = lane * Codes::kPerChunk; k < w.depth; k += 32 * Codes::kPerChunk) {
    Chunk chunks[kColumns];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      chunks[c] = Codes::load(w, tables, rows[c], k);
    }
#pragma unroll
    for (int j = 0; j < Codes::kPerChunk / kV; ++j) {
      float values[kColumns][kV];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) Codes::values(chunks[c], tables, j, values[c]);
#pragma unroll
      for (int i = 0; i < kV; i += 4) {
        const int at = k + j * kV + i;
        if (at >= depth) break;
#pragma unroll
        for (int m = 0; m < M; ++m) {
          float x[4];
          const int row = min(row0 + m, call.x.m - 1);
          read_floats(reinterpret_cast<const float*>(call.x.data + row * call.x.stride) + at, x);
#pragma unroll
          for (int c = 0; c < kColumns; ++c) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              sums[m][c] = fmaf(x[e], values[c][i + e], sums[m][c]);
            }
          }
        }
      }
    }
  }
#pragma unroll
  for (int m = 0; m < M; ++m) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      float sum = sums[m][c];
      for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
      const int row = row0 + m, column = column0 + c;
      if (lane != 0 || row >= call.x.m || column >= w.n) continue;
      write_element(call.y, row, column, finished<Codes>(call, sum, column, row, 0.0F));
    }
  }
}

inline constexpr int kF32Rows = 64, kF32Columns = 128, kF32Depth = 32;

/// Transposed tiles: depth by depth, so that a thread reads its rows in one piece.
struct F32Tiles {
  float x[kF32Depth][kF32Rows + 4];
  float w[kF32Depth][kF32Columns + 4];
};

template <typename Codes>
struct F32WeightTile {
  static constexpr int kChunks = kF32Depth / Codes::kPerChunk;  ///< of a row
  static constexpr int kAll = kF32Columns * kChunks;
  static constexpr int kCount = (kAll + 255) / 256;
  Chunk chunks[kCount];

  __device__ void fetch(const Weight& w, const Tables& tables, int n0, int k0) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int at = i * 256 + threadIdx.x, k = k0 + at / kF32Columns * Codes::kPerChunk;
      const bool there = at < kAll && k < w.depth;
      chunks[i] =
          there ? Codes::load(w, tables, row_of<Codes>(w, min(n0 + at % kF32Columns, w.n - 1)), k)
                : Chunk{};
    }
  }
  __device__ void put(const Tables& tables, F32Tiles& to) const {
    constexpr int kV = kValues<Codes>;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int at = i * 256 + threadIdx.x;
      if (at >= kAll) break;
#pragma unroll
      for (int j = 0; j < Codes::kPerChunk / kV; ++j) {
        float v[kV];
        Codes::values(chunks[i], tables, j, v);
#pragma unroll
        for (int e = 0; e < kV; ++e) {
          to.w[at / kF32Columns * Codes::kPerChunk + j * kV + e][at % kF32Columns] = v[e];
        }
      }
    }
  }
};

struct F32XTile {
  float4 values[2];

  __device__ void fetch(const Operand& x, int row0, int k0) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int at = i * 256 + threadIdx.x, byte = (k0 + at / kF32Rows * 4) * 4;
      const std::uint8_t* row = x.data + min(row0 + at % kF32Rows, x.m - 1) * x.stride;
      values[i] = byte < x.row_bytes ? __ldg(reinterpret_cast<const float4*>(row + byte))
                                     : float4{0.0F, 0.0F, 0.0F, 0.0F};
    }
  }
  __device__ void put(F32Tiles& to) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int at = i * 256 + threadIdx.x, k = at / kF32Rows * 4, row = at % kF32Rows;
      to.x[k][row] = values[i].x;
      to.x[k + 1][row] = values[i].y;
      to.x[k + 2][row] = values[i].z;
      to.x[k + 3][row] = values[i].w;
    }
  }
};

/// 64 x 128 outputs by 256 threads, 4 x 8 each.
__device__ inline void multiply_f32(const F32Tiles& tiles, int r, int c, float (&sums)[4][8]) {
#pragma unroll 8
  for (int k = 0; k < kF32Depth; ++k) {
    const float4 x = *reinterpret_cast<const float4*>(&tiles.x[k][r]);
    const float4 low = *reinterpret_cast<const float4*>(&tiles.w[k][c]);
    const float4 high = *reinterpret_cast<const float4*>(&tiles.w[k][c + 64]);
    const float a[4] = {x.x, x.y, x.z, x.w};
    const float b[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 8; ++j) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
    }
  }
}

template <typename Codes>
__global__ void __launch_bounds__(256) many_rows_f32(const __grid_constant__ Call call) {
  __shared__ F32Tiles tiles;
  __shared__ TableStorage<Codes::kTables> storage;
  const Weight& w = call.weight;
  const Tables tables = storage.fill(w);
  if constexpr (Codes::kTables) __syncthreads();
  const int row0 = blockIdx.x * kF32Rows, n0 = blockIdx.y * kF32Columns;
  const int r = threadIdx.x / 16 * 4, c = threadIdx.x % 16 * 4;
  F32XTile x;
  F32WeightTile<Codes> weights;
  float sums[4][8] = {};
  x.fetch(call.x, row0, 0);
  weights.fetch(w, tables, n0, 0);
  for (int k0 = 0; k0 < w.depth; k0 += kF32Depth) {
    __syncthreads();
    x.put(tiles);
    weights.put(tables, tiles);
    __syncthreads();
    if (k0 + kF32Depth < w.depth) {
      x.fetch(call.x, row0, k0 + kF32Depth);
      weights.fetch(w, tables, n0, k0 + kF32Depth);
    }
    multiply_f32(tiles, r, c, sums);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const int row = row0 + r + i, column = n0 + c + j % 4 + j / 4 * 64;
      if (row >= call.x.m || column >= w.n) continue;
      write_element(call.y, row, column, finished<Codes>(call, sums[i][j], column, row, 0.0F));
    }
  }
}

/// So many rows: reading plain weights for every eight of them is quicker than tiles; decoding
/// others is not.
template <typename Codes>
inline constexpr int kFewRowsF32 = Codes::kCode == Code::f32 ? 24 : 8;

template <typename Codes, int M>
void launch_few_rows_f32(const Call& call) {
  const dim3 grid((call.weight.n + 15) / 16, (call.x.m + M - 1) / M);
  few_rows_f32<Codes, M><<<grid, 256, 0, static_cast<cudaStream_t>(call.stream)>>>(call);
}

template <typename Codes>
void launch_f32(const Call& call) {
  const int m = call.x.m;
  if (m > kFewRowsF32<Codes> || call.fixed_tiles) {
    const dim3 grid((m + kF32Rows - 1) / kF32Rows, (call.weight.n + kF32Columns - 1) / kF32Columns);
    many_rows_f32<Codes><<<grid, 256, 0, static_cast<cudaStream_t>(call.stream)>>>(call);
  } else if (m == 1) {
    launch_few_rows_f32<Codes, 1>(call);
  } else if (m <= 4) {
    launch_few_rows_f32<Codes, 4>(call);
  } else {
    launch_few_rows_f32<Codes, 8>(call);
  }
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
