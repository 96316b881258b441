#pragma once

#include <type_traits>

#include "kernels/cuda/linear/few_rows.cuh"

// Many rows: tiles in shared memory, products on the tensor cores, copies of the next tiles under
// way. A tile row is 128 bytes of depth whatever the type, so that one kernel serves them all.
// Every output is one accumulator over ascending depth, in steps that do not depend on the tile's
// shape or on the number of rows.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

inline constexpr int kTileBytes = 128;  ///< of a tile row: eight chunks of 16
inline constexpr int kStages = kTuring ? 2 : 3;

/// Chunks of a row are exchanged so that eight rows' equal chunks lie in different banks.
__device__ inline int tile_offset(int row, int chunk) {
  return row * kTileBytes + (chunk ^ (row & 7)) * 16;
}

template <int Rows, int Columns, int WarpsM, int WarpsN>
struct TileShape {
  static constexpr int kRows = Rows;        ///< of x
  static constexpr int kColumns = Columns;  ///< of y, rows of the weight
  static constexpr int kWarpsM = WarpsM;
  static constexpr int kThreads = 32 * WarpsM * WarpsN;
  static constexpr int kM = Rows / WarpsM / 16;    ///< products of a warp
  static constexpr int kN = Columns / WarpsN / 8;  ///< even
  static constexpr int kXBytes = Rows * kTileBytes;
  static constexpr int kStageBytes = kXBytes + Columns * kTileBytes;
};
using LargeTile = TileShape<128, 128, 2, 4>;
using SmallTile = TileShape<64, 64, 2, 2>;

/// This thread's place: first row and column of its warp within the tile.
template <typename Shape>
struct Place {
  int lane = threadIdx.x % 32;
  int row = static_cast<int>(threadIdx.x) / 32 % Shape::kWarpsM * (Shape::kM * 16);
  int column = static_cast<int>(threadIdx.x) / 32 / Shape::kWarpsM * (Shape::kN * 8);
};

/// Products of one stage: `steps` of 32 bytes of depth.
template <typename Mma, typename Shape, typename Acc>
__device__ inline void multiply_tile(const std::uint8_t* x, const std::uint8_t* w, int steps,
                                     const Place<Shape>& place, Acc (&c)[Shape::kM][Shape::kN][4]) {
#pragma unroll
  for (int step = 0; step < kTileBytes / 32; ++step) {
    if (step >= steps) break;
    std::uint32_t a[Shape::kM][4];
#pragma unroll
    for (int i = 0; i < Shape::kM; ++i) {
      load_matrices(
          a[i], x + tile_offset(place.row + i * 16 + place.lane % 16, step * 2 + place.lane / 16));
    }
#pragma unroll
    for (int j = 0; j < Shape::kN; j += 2) {
      std::uint32_t b[4];
      load_matrices(b, w + tile_offset(place.column + j * 8 + place.lane % 8 + place.lane / 16 * 8,
                                       step * 2 + place.lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < Shape::kM; ++i) {
        Mma::run(c[i][j], a[i], b[0], b[1]);
        Mma::run(c[i][j + 1], a[i], b[2], b[3]);
      }
    }
  }
}

template <typename Shape>
__device__ inline void copy_x(const Operand& x, int row0, int tile, std::uint8_t* to) {
#pragma unroll
  for (int i = 0; i < Shape::kRows * 8 / Shape::kThreads; ++i) {
    const int at = i * Shape::kThreads + threadIdx.x;
    const int row = at / 8, chunk = at % 8, byte = tile * kTileBytes + chunk * 16;
    // Rows that are not there are not read: a thousand reads of one row would be a queue.
    const bool there = byte < x.row_bytes && row0 + row < x.m;
    const std::int64_t from = there ? (row0 + row) * x.stride + byte : 0;
    copy_chunk(to + tile_offset(row, chunk), x.data + from, there);
  }
}

/// The weights of a tile: copied where they are operands already, else read into registers and
/// decoded later, after the products that hide the reading.
template <typename Mma, typename Codes, typename Shape>
struct WeightTile {
  static constexpr int kChunks = 8 / kParts<Codes>;  ///< of codes, in a tile row
  static constexpr int kCount = Shape::kColumns * kChunks / Shape::kThreads;
  Chunk chunks[Codes::kDirect ? 1 : kCount];

  __device__ void fetch(const Weight& w, const Tables& tables, int n0, int tile, std::uint8_t* to) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int at = i * Shape::kThreads + threadIdx.x;
      const int row = min(n0 + at / kChunks, w.n - 1);
      const int chunk = tile * kChunks + at % kChunks;
      const bool there = chunk * Codes::kPerChunk < w.depth;
      if constexpr (Codes::kDirect) {
        copy_chunk(to + tile_offset(at / kChunks, at % kChunks),
                   w.codes + row * w.row_bytes + (there ? chunk * 16 : 0), there);
      } else {
        chunks[i] = there ? Codes::load(w, tables, row_of<Codes>(w, row), chunk * Codes::kPerChunk)
                          : Chunk{};
      }
    }
  }
  __device__ void put(const Tables& tables, std::uint8_t* to) {
    if constexpr (!Codes::kDirect) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const int at = i * Shape::kThreads + threadIdx.x;
#pragma unroll
        for (int j = 0; j < kParts<Codes>; ++j) {
          *reinterpret_cast<uint4*>(to +
                                    tile_offset(at / kChunks, at % kChunks * kParts<Codes> + j)) =
              operands<Mma, Codes>(chunks[i], tables, j);
        }
      }
    }
  }
};

/// The outlier columns, 64 (f32: 32) at a time, as one more tile of 16-bit products: codes are
/// exact in any 16-bit type. `sums` are in units of the weight's column scale. X: type of the
/// activations, T: that of the product.
template <typename X, typename T, typename Shape>
struct OutlierTile {
  static constexpr int kPerTile = kTileBytes / static_cast<int>(sizeof(T));

  /// Sixteen columns of `Rows` rows at a time: a thread reads one column of every so many-th row,
  /// all of them before it writes the first. value(row, column) of a column that is not there is
  /// not asked for; it is zero.
  template <int Rows, typename Value>
  __device__ static void fill(const std::int32_t* columns, int count, std::uint8_t* tile,
                              const Value& value) {
    constexpr int kStep = Shape::kThreads / 16, kEach = Rows / kStep;
    const int first = threadIdx.x / 16;
    for (int j = threadIdx.x % 16; j < (count + 15) / 16 * 16; j += 16) {
      const int column = j < count ? columns[j] : -1;
      T read[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        read[i] = column < 0 ? T(0.0F) : value(first + i * kStep, column);
      }
      const int byte = j * static_cast<int>(sizeof(T));
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        *reinterpret_cast<T*>(tile + tile_offset(first + i * kStep, byte / 16) + byte % 16) =
            read[i];
      }
    }
  }

  __device__ static void add(const Call& call, int row0, int n0, std::uint8_t* shared,
                             const Place<Shape>& place, float (&sums)[Shape::kM][Shape::kN][4]) {
    const auto* x = static_cast<const X*>(call.outliers.x.data);
    const auto x_value = [&](int row, int column) {
      const std::int64_t r = min(row0 + row, call.x.m - 1);
      return T(static_cast<float>(x[r * call.outliers.x.stride + column]));
    };
    const auto w_value = [&](int row, int column) {
      const std::int64_t r = min(n0 + row, call.weight.n - 1);
      const std::uint8_t code = call.weight.codes[r * call.weight.row_bytes + column];
      return T(static_cast<float>(static_cast<std::int8_t>(code)));
    };
    const int count = *call.outliers.count;
    for (int first = 0; first < count; first += kPerTile) {
      const int here = min(kPerTile, count - first);
      const std::int32_t* columns = call.outliers.columns + first;
      __syncthreads();
      fill<Shape::kRows>(columns, here, shared, x_value);
      fill<Shape::kColumns>(columns, here, shared + Shape::kXBytes, w_value);
      __syncthreads();
      multiply(shared, shared + Shape::kXBytes, here, place, sums);
    }
  }

  __device__ static void multiply(const std::uint8_t* x, const std::uint8_t* w, int count,
                                  const Place<Shape>& place,
                                  float (&sums)[Shape::kM][Shape::kN][4]) {
    if constexpr (sizeof(T) == 2) {
      using Mma = typename std::conditional<std::is_same<T, __half>::value, MmaF16, MmaBf16>::type;
      multiply_tile<Mma, Shape>(x, w, (count + 15) / 16, place, sums);
    } else {
      for (int j = 0; j < count; ++j) {
        const auto value = [&](const std::uint8_t* tile, int row) {
          return *reinterpret_cast<const float*>(tile + tile_offset(row, j / 4) + j % 4 * 4);
        };
#pragma unroll
        for (int i = 0; i < Shape::kM * Shape::kN * 4; ++i) {
          const int m = i / (Shape::kN * 4), n = i / 4 % Shape::kN, e = i % 4;
          const int row = place.row + m * 16 + place.lane / 4 + e / 2 * 8;
          const int column = place.column + n * 8 + place.lane % 4 * 2 + e % 2;
          sums[m][n][e] = fmaf(value(x, row), value(w, column), sums[m][n][e]);
        }
      }
    }
  }
};

template <typename Shape, typename Acc>
__device__ inline void add_outliers(const Call& call, int row0, int n0, std::uint8_t* shared,
                                    const Place<Shape>& place,
                                    float (&sums)[Shape::kM][Shape::kN][4]) {
  switch (call.outliers.x.type) {
    case Element::f32:
      return OutlierTile<float, float, Shape>::add(call, row0, n0, shared, place, sums);
    case Element::f16:
      return OutlierTile<__half, __half, Shape>::add(call, row0, n0, shared, place, sums);
    case Element::bf16:
      // Turing has no such product.
      using T = typename std::conditional<kTuring, float, __nv_bfloat16>::type;
      return OutlierTile<__nv_bfloat16, T, Shape>::add(call, row0, n0, shared, place, sums);
  }
}

/// Two neighbours of a row of y.
__device__ inline void write_pair(const DeviceMatrix& y, int row, int column, float first,
                                  float second, bool both) {
  const std::int64_t at = row * y.stride + column;
  if (both && at % 2 == 0 && y.type == Element::bf16) {
    static_cast<std::uint32_t*>(y.data)[at / 2] = pack_pair<__nv_bfloat16>(first, second);
  } else if (both && at % 2 == 0 && y.type == Element::f16) {
    static_cast<std::uint32_t*>(y.data)[at / 2] = pack_pair<__half>(first, second);
  } else {
    write_element(y, row, column, first);
    if (both) write_element(y, row, column + 1, second);
  }
}

template <typename Codes, typename Shape>
__device__ inline void finish_tile(const Call& call, int row0, int n0, const Place<Shape>& place,
                                   const float (&sums)[Shape::kM][Shape::kN][4]) {
  // With outliers the row's scale is in the sums already.
  const bool scaled = call.row_scales == nullptr || call.outliers.columns != nullptr;
  float row_scales[Shape::kM][2];
#pragma unroll
  for (int i = 0; i < Shape::kM * 2; ++i) {
    const int row = row0 + place.row + i / 2 * 16 + place.lane / 4 + i % 2 * 8;
    row_scales[i / 2][i % 2] = scaled ? 1.0F : row_scale(call, min(row, call.x.m - 1));
  }
#pragma unroll
  for (int n = 0; n < Shape::kN; ++n) {
    const int column = n0 + place.column + n * 8 + place.lane % 4 * 2;
    if (column >= call.weight.n) continue;
    const bool both = column + 1 < call.weight.n;
    float scale[2], bias[2] = {};
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int c = min(column + e, call.weight.n - 1);
      scale[e] = column_scale<Codes>(call.weight, c) * call.column_factor;
      if (call.bias != nullptr) bias[e] = call.bias[c];
    }
#pragma unroll
    for (int i = 0; i < Shape::kM * 2; ++i) {
      const int m = i / 2, half = i % 2;
      const int row = row0 + place.row + m * 16 + place.lane / 4 + half * 8;
      if (row >= call.x.m) continue;
      const float* pair = sums[m][n] + half * 2;
      write_pair(call.y, row, column, pair[0] * (row_scales[m][half] * scale[0]) + bias[0],
                 pair[1] * (row_scales[m][half] * scale[1]) + bias[1], both);
    }
  }
}

/// Integer sums as f32; with outliers in units of the column's scale.
template <typename Shape, typename Acc>
__device__ inline void scale_rows(const Call& call, int row0, const Place<Shape>& place,
                                  const Acc (&c)[Shape::kM][Shape::kN][4],
                                  float (&sums)[Shape::kM][Shape::kN][4]) {
#pragma unroll
  for (int m = 0; m < Shape::kM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = min(row0 + place.row + m * 16 + place.lane / 4 + half * 8, call.x.m - 1);
      const float scale = call.outliers.columns == nullptr ? 1.0F : row_scale(call, row);
#pragma unroll
      for (int n = 0; n < Shape::kN; ++n) {
        sums[m][n][half * 2] = static_cast<float>(c[m][n][half * 2]) * scale;
        sums[m][n][half * 2 + 1] = static_cast<float>(c[m][n][half * 2 + 1]) * scale;
      }
    }
  }
}

template <typename Mma, typename Codes, typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, 2) many_rows(const __grid_constant__ Call call) {
  using Acc = typename Mma::Acc;
  constexpr bool kApart = Codes::kCode == Code::int8 && Codes::kDirect;
  extern __shared__ __align__(128) std::uint8_t shared[];
  __shared__ TableStorage<Codes::kTables> storage;
  const Weight& w = call.weight;
  const Tables tables = storage.fill(w);
  if constexpr (Codes::kTables) __syncthreads();
  const Place<Shape> place{};
  // Blocks of one column of tiles follow each other: they share the weights, which are larger.
  const int row0 = blockIdx.x * Shape::kRows, n0 = blockIdx.y * Shape::kColumns;
  const int depth_bytes = w.depth / Codes::kPerChunk * kParts<Codes> * 16;
  const int tiles = (depth_bytes + kTileBytes - 1) / kTileBytes;
  const auto x_tile = [&](int tile) { return shared + tile % kStages * Shape::kStageBytes; };
  const auto w_tile = [&](int tile) { return x_tile(tile) + Shape::kXBytes; };
  WeightTile<Mma, Codes, Shape> fetched;

  for (int tile = 0; tile < kStages - 1; ++tile) {
    if (tile < tiles) {
      copy_x<Shape>(call.x, row0, tile, x_tile(tile));
      fetched.fetch(w, tables, n0, tile, w_tile(tile));
      fetched.put(tables, w_tile(tile));
    }
    commit_copies();
  }
  Acc c[Shape::kM][Shape::kN][4] = {};
  for (int tile = 0; tile < tiles; ++tile) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    const int next = tile + kStages - 1;
    if (next < tiles) {
      copy_x<Shape>(call.x, row0, next, x_tile(next));
      fetched.fetch(w, tables, n0, next, w_tile(next));
    }
    commit_copies();
    multiply_tile<Mma, Shape>(x_tile(tile), w_tile(tile), kTileBytes / 32, place, c);
    if (next < tiles) fetched.put(tables, w_tile(next));
  }
  float sums[Shape::kM][Shape::kN][4];
  scale_rows<Shape>(call, row0, place, c, sums);
  if constexpr (kApart) {
    if (call.outliers.columns != nullptr) {
      add_outliers<Shape, Acc>(call, row0, n0, shared, place, sums);
    }
  }
  finish_tile<Codes, Shape>(call, row0, n0, place, sums);
}

/// More than 48 KiB must be asked for, once for each device.
template <void (*Kernel)(Call)>
void allow_shared_memory(int bytes) {
  constexpr int kMostDevices = 64;
  static bool allowed[kMostDevices] = {};
  int device = 0;
  cudaGetDevice(&device);
  if (device < kMostDevices && allowed[device]) return;
  const auto result =
      cudaFuncSetAttribute(Kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (result == cudaSuccess && device < kMostDevices) allowed[device] = true;
}

template <typename Mma, typename Codes, typename Shape>
void launch_tiles(const Call& call) {
  constexpr int kBytes = kStages * Shape::kStageBytes;
  allow_shared_memory<many_rows<Mma, Codes, Shape>>(kBytes);
  const dim3 grid((call.x.m + Shape::kRows - 1) / Shape::kRows,
                  (call.weight.n + Shape::kColumns - 1) / Shape::kColumns);
  many_rows<Mma, Codes, Shape>
      <<<grid, Shape::kThreads, kBytes, static_cast<cudaStream_t>(call.stream)>>>(call);
}

template <typename Mma, typename Codes>
void launch_many_rows(const Call& call) {
  const std::int64_t large =
      static_cast<std::int64_t>((call.x.m + 127) / 128) * ((call.weight.n + 127) / 128);
  if (call.x.m > 64 && large * 2 > call.multiprocessors) {
    launch_tiles<Mma, Codes, LargeTile>(call);
  } else {
    launch_tiles<Mma, Codes, SmallTile>(call);
  }
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
