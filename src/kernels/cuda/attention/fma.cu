// Attention with FMA in f32, for f32 and for a cache of another type than the queries: everything
// is widened when it is read. As with tensor cores a row's arithmetic depends on nothing but its
// own values and the keys it sees: a score is one accumulator over ascending dimensions, a sum one
// over ascending positions.
//
// Sixteen lanes own two rows: for scores every lane has one or two keys of the tile, for sums every
// sixteenth group of four columns.

#include "kernels/cuda/attention/rows.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {
namespace {

template <int kDim, int kRowCount>
struct FmaTile {
  static constexpr int kRows = kRowCount;
  static constexpr int kThreads = kRows * 8;
  static constexpr int kKeysPerLane = kDim <= 128 ? 2 : 1;
  static constexpr int kKeys = 16 * kKeysPerLane;
  static constexpr int kPitch = kDim + 4;
  static constexpr int kColumns = kDim / 64;  // groups of four of a lane
  static constexpr std::size_t kBytes =
      sizeof(float) * (kPitch * (kRows + 2 * kKeys) + kRows * kKeys);
};

/// Eight values of a row of any type; `aligned`: 16-byte accesses are possible.
__device__ inline void load_any(Element type, const void* row, std::int64_t begin,
                                std::int64_t cols, bool aligned, float (&v)[kEight]) {
  switch (type) {
    case Element::f32:
      return load8(static_cast<const float*>(row), begin, cols, aligned, v);
    case Element::f16:
      return load8(static_cast<const __half*>(row), begin, cols, aligned, v);
    case Element::bf16:
      return load8(static_cast<const __nv_bfloat16*>(row), begin, cols, aligned, v);
  }
}

__device__ inline int bytes_of(Element type) { return type == Element::f32 ? 4 : 2; }

__device__ inline bool can_align(const void* base, std::int64_t stride, int size, int head_dim) {
  return reinterpret_cast<std::uintptr_t>(base) % 16 == 0 && stride * size % 16 == 0 &&
         head_dim % kEight == 0;
}

/// `count` rows, widened, zero beyond head_dim; source(r) is the address of row r or null.
template <typename Tile, int kDim, typename F>
__device__ void load_rows(float* tile, int count, Element type, int head_dim, bool aligned,
                          const F& source) {
  constexpr int kPieces = kDim / kEight;
  for (int i = threadIdx.x; i < count * kPieces; i += Tile::kThreads) {
    const int begin = i % kPieces * kEight;
    const void* from = source(i / kPieces);
    float v[kEight] = {};
    if (from != nullptr && begin < head_dim) load_any(type, from, begin, head_dim, aligned, v);
    auto* to = reinterpret_cast<float4*>(tile + i / kPieces * Tile::kPitch + begin);
    to[0] = {v[0], v[1], v[2], v[3]};
    to[1] = {v[4], v[5], v[6], v[7]};
  }
}

__device__ inline float dot4(const float4& a, const float4& b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

__device__ inline float largest_of_16(float v) {
#pragma unroll
  for (int offset = 8; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(~0U, v, offset));
  return v;
}

/// One of the two rows of a lane.
template <typename Tile>
struct FmaRow {
  float4 sums[Tile::kColumns] = {};
  float largest = -kInfinity;
  float total = 0.0F;  // this lane's share
  Seen seen{0, 0};

  /// Scores of this lane's keys become numerators, which go to `numerators[kKeys]`.
  __device__ void exponentiate(float (&scores)[Tile::kKeysPerLane], int tile,
                               const AttentionArguments& a, float* numerators) {
    const int lane = static_cast<int>(threadIdx.x % 16);
    float most = largest;
#pragma unroll
    for (int k = 0; k < Tile::kKeysPerLane; ++k) {
      const int key = tile + lane + 16 * k;
      scores[k] = key >= seen.first && key < seen.end ? capped(scores[k] * a.scale, a.soft_cap)
                                                      : -kInfinity;
      most = fmaxf(most, scores[k]);
    }
    most = largest_of_16(most);
    const float base = most == -kInfinity ? 0.0F : most;
    const float factor = expf(largest - base);
    largest = most;
    total *= factor;
#pragma unroll
    for (int k = 0; k < Tile::kKeysPerLane; ++k) {
      const float p = expf(scores[k] - base);
      numerators[lane + 16 * k] = p;
      total += p;
    }
#pragma unroll
    for (int c = 0; c < Tile::kColumns; ++c) {
      sums[c].x *= factor;
      sums[c].y *= factor;
      sums[c].z *= factor;
      sums[c].w *= factor;
    }
  }

  __device__ void write(const AttentionArguments& a, const BlockRows& rows, int row) {
    const int lane = static_cast<int>(threadIdx.x % 16);
    float all = total;
#pragma unroll
    for (int offset = 8; offset > 0; offset /= 2) all += __shfl_xor_sync(~0U, all, offset);
    if (!rows.exists(row)) return;
    const bool part = a.part_keys > 0;
    float* partial = part ? rows.partial(row) : nullptr;
    if (part && lane == 0) {
      partial[0] = largest;
      partial[1] = all;
    }
    const std::int64_t out =
        part ? 0 : rows.matrix_row(row) * a.out.stride + rows.head(row) * a.head_dim;
#pragma unroll
    for (int c = 0; c < Tile::kColumns; ++c) {
      const float values[4] = {sums[c].x, sums[c].y, sums[c].z, sums[c].w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int column = c * 64 + lane * 4 + i;
        if (column >= a.head_dim) continue;
        if (part) {
          partial[2 + column] = values[i];
        } else {
          put(a.out, out + column, all == 0.0F ? 0.0F : values[i] / all);
        }
      }
    }
  }

 private:
  __device__ static void put(const DeviceMatrix& m, std::int64_t at, float value) {
    switch (m.type) {
      case Element::f32:
        static_cast<float*>(m.data)[at] = value;
        break;
      case Element::f16:
        static_cast<__half*>(m.data)[at] = narrow<__half>(value);
        break;
      case Element::bf16:
        static_cast<__nv_bfloat16*>(m.data)[at] = narrow<__nv_bfloat16>(value);
        break;
    }
  }
};

/// Keys and values of a block, and where they come from.
template <typename Tile, int kDim>
struct KeySource {
  const AttentionArguments& a;
  const BlockRows& rows;
  bool aligned;

  __device__ void load(float* tile, const void* base, int first, const Seen& all) const {
    const int size = bytes_of(a.kv);
    const auto* head = size == 4 ? reinterpret_cast<const char*>(rows.positions<float>(base))
                                 : reinterpret_cast<const char*>(rows.positions<__half>(base));
    load_rows<Tile, kDim>(tile, Tile::kKeys, a.kv, a.head_dim, aligned, [&](int r) -> const void* {
      const int key = first + r;  // what no row sees may be anything, and 0 * NaN is NaN
      return key >= all.first && key < all.end ? head + key * a.row_stride * size : nullptr;
    });
  }
};

template <int kDim, int kRows>
__global__ void __launch_bounds__(kRows * 8)
    attend_fma(const __grid_constant__ AttentionArguments a) {
  using Tile = FmaTile<kDim, kRows>;
  extern __shared__ float4 memory[];
  float* queries = reinterpret_cast<float*>(memory);
  float* keys = queries + kRows * Tile::kPitch;
  float* values = keys + Tile::kKeys * Tile::kPitch;
  float* numerators = values + Tile::kKeys * Tile::kPitch;

  const BlockRows rows(a, kRows);
  if (rows.idle()) return;
  const Seen all = rows.seen_by_any(kRows);
  const int q_size = bytes_of(a.q.type);
  const bool q_aligned = can_align(a.q.data, a.q.stride, q_size, a.head_dim);
  const KeySource<Tile, kDim> source{
      a, rows,
      can_align(a.keys, a.row_stride, bytes_of(a.kv), a.head_dim) &&
          can_align(a.values, a.cached ? a.slot_stride : a.row_stride, bytes_of(a.kv), a.head_dim)};
  load_rows<Tile, kDim>(queries, kRows, a.q.type, a.head_dim, q_aligned, [&](int r) -> const void* {
    if (!rows.exists(r)) return nullptr;
    return static_cast<const char*>(a.q.data) +
           (rows.matrix_row(r) * a.q.stride + rows.head(r) * a.head_dim) * q_size;
  });

  const int lane = static_cast<int>(threadIdx.x % 16);
  const int first_row = static_cast<int>(threadIdx.x / 16) * 2;
  FmaRow<Tile> own[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const bool sink = rows.begins_with_sink() && rows.exists(first_row + i);
    own[i].seen = rows.seen(first_row + i);
    if (sink) own[i].largest = a.sinks[rows.head(first_row + i)];
    own[i].total = sink && lane == 0 ? 1.0F : 0.0F;
  }

  for (int tile = all.first / Tile::kKeys * Tile::kKeys; tile < all.end; tile += Tile::kKeys) {
    source.load(keys, a.keys, tile, all);
    source.load(values, a.values, tile, all);
    __syncthreads();
    float scores[2][Tile::kKeysPerLane] = {};
#pragma unroll 4
    for (int d = 0; d < kDim; d += 4) {
      float4 k[Tile::kKeysPerLane];
#pragma unroll
      for (int j = 0; j < Tile::kKeysPerLane; ++j)
        k[j] = *reinterpret_cast<const float4*>(keys + (lane + 16 * j) * Tile::kPitch + d);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const auto q =
            *reinterpret_cast<const float4*>(queries + (first_row + i) * Tile::kPitch + d);
#pragma unroll
        for (int j = 0; j < Tile::kKeysPerLane; ++j) scores[i][j] = dot4(q, k[j], scores[i][j]);
      }
    }
    float* numerator[2] = {numerators + first_row * Tile::kKeys,
                           numerators + (first_row + 1) * Tile::kKeys};
#pragma unroll
    for (int i = 0; i < 2; ++i) own[i].exponentiate(scores[i], tile, a, numerator[i]);
    __syncwarp();
#pragma unroll 4
    for (int j = 0; j < Tile::kKeys; ++j) {
#pragma unroll
      for (int c = 0; c < Tile::kColumns; ++c) {
        const auto v =
            *reinterpret_cast<const float4*>(values + j * Tile::kPitch + c * 64 + lane * 4);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const float p = numerator[i][j];
          float4& sum = own[i].sums[c];
          sum.x = fmaf(p, v.x, sum.x);
          sum.y = fmaf(p, v.y, sum.y);
          sum.z = fmaf(p, v.z, sum.z);
          sum.w = fmaf(p, v.w, sum.w);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) own[i].write(a, rows, first_row + i);
}

template <int kDim, int kRows>
void launch_fma(const AttentionArguments& a, cudaStream_t stream) {
  using Tile = FmaTile<kDim, kRows>;
  allow_shared(attend_fma<kDim, kRows>, Tile::kBytes);
  attend_fma<kDim, kRows><<<attention_grid(a, kRows), Tile::kThreads, Tile::kBytes, stream>>>(a);
}

template <int kDim>
void choose_rows(const AttentionArguments& a, AttentionRows rows, cudaStream_t stream) {
  if (rows == AttentionRows::few) return launch_fma<kDim, 8>(a, stream);
  launch_fma<kDim, kDim <= 128 ? 32 : 16>(a, stream);
}

}  // namespace

void attention_fma(const AttentionArguments& a, AttentionRows rows, cudaStream_t stream) {
  if (a.head_dim <= 64) return choose_rows<64>(a, rows, stream);
  if (a.head_dim <= 128) return choose_rows<128>(a, rows, stream);
  choose_rows<256>(a, rows, stream);
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
