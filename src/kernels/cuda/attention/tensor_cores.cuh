#pragma once

#include "kernels/cuda/attention/rows.cuh"
#include "kernels/cuda/tensor_core.cuh"

// Attention of 16-bit types on tensor cores, with an online softmax over tiles of keys.
//
// A warp owns 16 rows and walks over the tiles in ascending order; scores and sums are f32, the
// numerators of the softmax are rounded to the type for the second product. A row's arithmetic
// depends on nothing but its own values and the keys it sees: tiles count from position 0, a hidden
// position contributes an exact 0, and a tile of which a row sees nothing changes nothing. While
// scores of a tile are computed its values are on their way, and the next keys during the second
// product.

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

template <typename T, int kDim, int kWarps>
struct TensorCoreTile {
  static constexpr int kRows = 16 * kWarps;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kKeys = kDim <= 128 ? 64 : 32;
  static constexpr int kPitch = kDim + 8;  // an odd number of 16-byte pieces: no bank conflicts
  static constexpr bool kKeepQueries = kDim <= 128;
  static constexpr std::size_t kBytes = sizeof(T) * kPitch * (kRows + 2 * kKeys);

  /// `count` rows of head_dim elements into `tile`; `source(r)` is the address of row r, or null
  /// for zeros.
  template <typename F>
  __device__ static void load(T* tile, int count, int head_dim, const void* readable,
                              const F& source) {
    constexpr int kPieces = kDim / 8;
    for (int i = threadIdx.x; i < count * kPieces; i += kThreads) {
      const int row = i / kPieces;
      const int piece = i % kPieces;
      const T* from = source(row);
      const bool there = from != nullptr && piece * 8 < head_dim;
      copy16(tile + row * kPitch + piece * 8, there ? from + piece * 8 : readable, there);
    }
  }
};

/// e^(x - base), 0 for x = -infinity and exactly 1 for x = base.
__device__ inline float numerator(float x, float base) {
  float y = 0.0F;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"((x - base) * 1.44269504F));
  return y;
}

/// The state of a warp: rows g and g + 8 of its 16, g = lane / 4.
template <typename T, int kDim, int kKeys>
struct WarpRows {
  float sums[kDim / 8][4] = {};
  float scores[kKeys / 8][4];
  float largest[2];
  float total[2];  // this lane's share
  Seen seen[2];

  __device__ void scale_and_hide(int tile, const AttentionArguments& a) {
    const int column = static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = tile + n * 8 + column + i % 2;
        const Seen& s = seen[i / 2];
        const float score = capped(scores[n][i] * a.scale, a.soft_cap);
        scores[n][i] = key >= s.first && key < s.end ? score : -kInfinity;
      }
    }
  }

  /// Scores become numerators; sums and totals are scaled to the new maximum.
  __device__ void exponentiate() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
        most = fmaxf(most, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      most = fmaxf(most, __shfl_xor_sync(~0U, most, 1));
      most = fmaxf(most, __shfl_xor_sync(~0U, most, 2));
      const float base = most == -kInfinity ? 0.0F : most;
      const float factor = numerator(largest[half], base);
      largest[half] = most;
      total[half] *= factor;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[n][i] = numerator(scores[n][i], base);
          total[half] += scores[n][i];
        }
      }
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        sums[n][2 * half] *= factor;
        sums[n][2 * half + 1] *= factor;
      }
    }
  }

  __device__ void write(const AttentionArguments& a, const BlockRows& rows, int warp_row) {
    const int column = static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float all = total[half];
      all += __shfl_xor_sync(~0U, all, 1);
      all += __shfl_xor_sync(~0U, all, 2);
      const int row = warp_row + static_cast<int>(threadIdx.x % 32) / 4 + 8 * half;
      if (!rows.exists(row)) continue;
      if (a.part_keys > 0) {
        float* to = rows.partial(row);
        if (column == 0) {
          to[0] = largest[half];
          to[1] = all;
        }
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) {
          if (n * 8 >= a.head_dim) break;
          to[2 + n * 8 + column] = sums[n][2 * half];
          to[3 + n * 8 + column] = sums[n][2 * half + 1];
        }
      } else {
        const float factor = all == 0.0F ? 0.0F : 1.0F / all;  // NaN stays NaN
        T* to = static_cast<T*>(a.out.data) + rows.matrix_row(row) * a.out.stride +
                rows.head(row) * a.head_dim;
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) {
          if (n * 8 >= a.head_dim) break;
          *reinterpret_cast<std::uint32_t*>(to + n * 8 + column) =
              pack<T>(sums[n][2 * half] * factor, sums[n][2 * half + 1] * factor);
        }
      }
    }
  }
};

/// Rows of queries for one warp, in fragments of 16 columns.
template <typename T, int kDim, int kPitch, bool kKeep>
class QueryFragments {
 public:
  __device__ explicit QueryFragments(const T* rows) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    first_ = rows + lane % 16 * kPitch + lane / 16 * 8;
    if constexpr (kKeep) {
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) load_matrices(kept_[k], first_ + k * 16);
    }
  }
  __device__ void get(int k, std::uint32_t (&fragment)[4]) const {
    if constexpr (kKeep) {
#pragma unroll
      for (int i = 0; i < 4; ++i) fragment[i] = kept_[k][i];
    } else {
      load_matrices(fragment, first_ + k * 16);
    }
  }

 private:
  const T* first_;
  std::uint32_t kept_[kKeep ? kDim / 16 : 1][4];
};

template <typename T, int kDim, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    attend_tensor_cores(const __grid_constant__ AttentionArguments a) {
  using Tile = TensorCoreTile<T, kDim, kWarps>;
  constexpr int kKeys = Tile::kKeys;
  constexpr int kPitch = Tile::kPitch;
  extern __shared__ uint4 memory[];
  T* queries = reinterpret_cast<T*>(memory);
  T* keys = queries + Tile::kRows * kPitch;
  T* values = keys + kKeys * kPitch;

  const BlockRows rows(a, Tile::kRows);
  if (rows.idle()) return;
  const Seen all = rows.seen_by_any(Tile::kRows);
  const T* key_rows = rows.positions<T>(a.keys);
  const T* value_rows = rows.positions<T>(a.values);
  const auto fetch = [&](T* tile, const T* base, int first) {
    Tile::load(tile, kKeys, a.head_dim, a.q.data, [&](int r) {
      const int key = first + r;  // what no row sees may be anything, and 0 * NaN is NaN
      return key >= all.first && key < all.end ? base + key * a.row_stride : nullptr;
    });
  };

  Tile::load(queries, Tile::kRows, a.head_dim, a.q.data, [&](int r) -> const T* {
    if (!rows.exists(r)) return nullptr;
    return static_cast<const T*>(a.q.data) + rows.matrix_row(r) * a.q.stride +
           rows.head(r) * a.head_dim;
  });
  int tile = all.first / kKeys * kKeys;
  fetch(keys, key_rows, tile);
  wait_for_copies();
  __syncthreads();

  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_row = static_cast<int>(threadIdx.x / 32) * 16;
  const QueryFragments<T, kDim, kPitch, Tile::kKeepQueries> query(queries + warp_row * kPitch);
  WarpRows<T, kDim, kKeys> own;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp_row + lane / 4 + 8 * half;
    const bool sink = rows.begins_with_sink() && rows.exists(row);
    own.seen[half] = rows.seen(row);
    own.largest[half] = sink ? a.sinks[rows.head(row)] : -kInfinity;
    own.total[half] = sink && lane % 4 == 0 ? 1.0F : 0.0F;
  }

  for (; tile < all.end; tile += kKeys) {
    fetch(values, value_rows, tile);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) own.scores[n][i] = 0.0F;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      std::uint32_t q[4];
      query.get(k, q);
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        std::uint32_t b[4];
        load_matrices(
            b, keys + (n * 16 + lane / 16 * 8 + lane % 8) * kPitch + k * 16 + lane / 8 % 2 * 8);
        multiply_add<T>(own.scores[2 * n], q, b[0], b[1]);
        multiply_add<T>(own.scores[2 * n + 1], q, b[2], b[3]);
      }
    }
    own.scale_and_hide(tile, a);
    own.exponentiate();
    wait_for_copies();
    __syncthreads();  // the values are there, and no warp needs these keys any more
    if (tile + kKeys < all.end) fetch(keys, key_rows, tile + kKeys);
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const std::uint32_t p[4] = {pack<T>(own.scores[2 * k][0], own.scores[2 * k][1]),
                                  pack<T>(own.scores[2 * k][2], own.scores[2 * k][3]),
                                  pack<T>(own.scores[2 * k + 1][0], own.scores[2 * k + 1][1]),
                                  pack<T>(own.scores[2 * k + 1][2], own.scores[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) {
        std::uint32_t b[4];
        load_transposed(b, values + (k * 16 + lane % 16) * kPitch + n * 16 + lane / 16 * 8);
        multiply_add<T>(own.sums[2 * n], p, b[0], b[1]);
        multiply_add<T>(own.sums[2 * n + 1], p, b[2], b[3]);
      }
    }
    wait_for_copies();
    __syncthreads();
  }
  own.write(a, rows, warp_row);
}

template <typename T, int kDim>
void launch_tensor_cores(const AttentionArguments& a, AttentionRows rows, cudaStream_t stream) {
  // 256 columns of 64 rows would not fit into the shared memory of a T4.
  constexpr int kWarps = kDim > 128 && !kAmpere ? 2 : 4;
  const auto launch = [&](auto kernel, int rows_per_block, int threads, std::size_t bytes) {
    allow_shared(kernel, bytes);
    kernel<<<attention_grid(a, rows_per_block), threads, bytes, stream>>>(a);
  };
  if (rows == AttentionRows::few) {
    using Tile = TensorCoreTile<T, kDim, 1>;
    launch(attend_tensor_cores<T, kDim, 1>, Tile::kRows, Tile::kThreads, Tile::kBytes);
  } else {
    using Tile = TensorCoreTile<T, kDim, kWarps>;
    launch(attend_tensor_cores<T, kDim, kWarps>, Tile::kRows, Tile::kThreads, Tile::kBytes);
  }
}

template <typename T>
void choose_tensor_cores(const AttentionArguments& a, AttentionRows rows, cudaStream_t stream) {
  if (a.head_dim <= 32) return launch_tensor_cores<T, 32>(a, rows, stream);
  if (a.head_dim <= 64) return launch_tensor_cores<T, 64>(a, rows, stream);
  if (a.head_dim <= 96) return launch_tensor_cores<T, 96>(a, rows, stream);
  if (a.head_dim <= 128) return launch_tensor_cores<T, 128>(a, rows, stream);
  return launch_tensor_cores<T, 256>(a, rows, stream);
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
