#pragma once

#include "kernels/cuda/linear/device.cuh"

// How each encoding is read: 16 bytes of codes of one row at a time, with their scale, and then
// eight values at a time. kColumn says that the row's scale is applied to sums, not to weights.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

/// 16 bytes of codes.
struct Chunk {
  uint4 codes = {0, 0, 0, 0};
  float scale = 0.0F;
  float minimum = 0.0F;

  __device__ std::uint32_t word(int i) const {
    return i == 0 ? codes.x : i == 1 ? codes.y : i == 2 ? codes.z : codes.w;
  }
};

__device__ inline float load_shared(std::uint32_t address) {
  float value;
  asm("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(address));
  return value;
}

/// Tables of a block of threads: the values of 4-bit codes, once for each lane (no two lanes then
/// read one bank), and the map of double quantization.
struct Tables {
  std::uint32_t values = 0;    ///< of this lane, an address in shared memory; code c is at c * 128
  const float* map = nullptr;  ///< nullptr without double quantization
  float offset = 0.0F;
};

template <bool Needed>
struct TableStorage {
  static constexpr int kTable = 16 * 32;
  float values[2 * kTable];  ///< twice the room: the table begins at a multiple of its size
  float map[256];

  /// All threads call it; a barrier must follow.
  __device__ Tables fill(const Weight& w) {
    const std::uint32_t start = shared_address(values);
    const std::uint32_t aligned = (start + kTable * 4 - 1) / (kTable * 4) * (kTable * 4);
    for (int i = threadIdx.x; i < kTable; i += blockDim.x) {
      values[(aligned - start) / 4 + i] = w.table[i / 32];
    }
    const Tables tables = {aligned + threadIdx.x % 32 * 4, w.nested == nullptr ? nullptr : map,
                           w.offset};
    if (w.nested == nullptr) return tables;
    for (int i = threadIdx.x; i < 256; i += blockDim.x) map[i] = w.nested[i];
    return tables;
  }
};
template <>
struct TableStorage<false> {
  __device__ Tables fill(const Weight&) { return {}; }
};

/// Where a row of the weight begins, its codes and its block scales.
struct WeightRow {
  const std::uint8_t* codes;
  std::int64_t scale;  ///< index of the first
};
template <typename Codes>
__device__ inline WeightRow row_of(const Weight& w, int row) {
  return {w.codes + row * w.row_bytes, static_cast<std::int64_t>(row) * Codes::scales_of_row(w)};
}

/// For encodings without block scales.
struct NoBlocks {
  __device__ static int scales_of_row(const Weight&) { return 0; }
};
template <int Block>
struct Blocks {
  __device__ static int scales_of_row(const Weight& w) { return w.k / Block; }
};

/// Codes that are operands as they lie in memory.
template <Code E, int PerChunk>
struct DirectCodes : NoBlocks {
  static constexpr Code kCode = E;
  static constexpr int kPerChunk = PerChunk;
  static constexpr bool kDirect = true;
  static constexpr bool kColumn = E == Code::int8 || E == Code::fp8;
  static constexpr bool kTables = false;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k * (16 / PerChunk));
    return chunk;
  }
};
using F32Operands = DirectCodes<Code::f32, 4>;
using F16Operands = DirectCodes<Code::f16, 8>;
using Bf16Operands = DirectCodes<Code::bf16, 8>;
using Int8Operands = DirectCodes<Code::int8, 16>;
using Fp8Operands = DirectCodes<Code::fp8, 16>;

/// f32 weights for products in f32; float values of the other native encodings for lookups.
struct F32Codes : DirectCodes<Code::f32, 4> {
  static constexpr bool kDirect = false;
  template <int Count>
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[Count]) {
#pragma unroll
    for (int i = 0; i < Count; ++i) v[i] = __uint_as_float(c.word(i));
  }
};
struct F16Codes : DirectCodes<Code::f16, 8> {
  static constexpr bool kDirect = false;
  template <int Count>
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[Count]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t bits = c.word(i);
      const float2 pair = __half22float2(*reinterpret_cast<const __half2*>(&bits));
      v[2 * i] = pair.x;
      v[2 * i + 1] = pair.y;
    }
  }
};
struct Bf16Codes : DirectCodes<Code::bf16, 8> {
  static constexpr bool kDirect = false;
  template <int Count>
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[Count]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      v[2 * i] = __uint_as_float(c.word(i) << 16);
      v[2 * i + 1] = __uint_as_float(c.word(i) & 0xffff0000U);
    }
  }
};

/// Signed bytes as they are. A byte b + 128 as the low bits of 2^23 makes the float 2^23 + b + 128.
__device__ inline void signed_bytes(std::uint32_t word, float* v) {
  const std::uint32_t biased = word ^ 0x80808080U;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    v[i] = __uint_as_float(__byte_perm(biased, 0x4B000000U, 0x7440 + i)) - 8388736.0F;
  }
}

struct Int8Codes : NoBlocks {
  static constexpr Code kCode = Code::int8;
  static constexpr int kPerChunk = 16;
  static constexpr bool kDirect = false;
  static constexpr bool kColumn = true;
  static constexpr bool kTables = false;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k);
    return chunk;
  }
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[8]) {
    signed_bytes(c.word(2 * j), v);
    signed_bytes(c.word(2 * j + 1), v + 4);
  }
};

/// e4m3: the same bits one place lower in fp16 are 2^8 too small.
struct Fp8Codes : Int8Codes {
  static constexpr Code kCode = Code::fp8;
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[8]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t word = c.word(2 * j + i / 2);
      const std::uint32_t pair = __byte_perm(word, 0, i % 2 == 0 ? 0x1404 : 0x3424);
      const std::uint32_t half = (pair & 0x80008000U) | ((pair & 0x7f007f00U) >> 1);
      const float2 two = __half22float2(*reinterpret_cast<const __half2*>(&half));
      v[2 * i] = two.x * 256.0F;
      v[2 * i + 1] = two.y * 256.0F;
    }
  }
};

struct Q8_0Codes : Int8Codes {
  __device__ static int scales_of_row(const Weight& w) { return w.k / 32; }
  static constexpr Code kCode = Code::q8_0;
  static constexpr bool kColumn = false;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k);
    const auto* scales = static_cast<const __half*>(w.scales);
    chunk.scale = __half2float(scales[row.scale + k / 32]);
    return chunk;
  }
  __device__ static void values(const Chunk& c, const Tables& tables, int j, float (&v)[8]) {
    Int8Codes::values(c, tables, j, v);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] *= c.scale;
  }
};

/// nf4 and fp4.
template <Code E>
struct FourBitCodes : Blocks<64> {
  static constexpr Code kCode = E;
  static constexpr int kPerChunk = 32;
  static constexpr bool kDirect = false;
  static constexpr bool kColumn = false;
  static constexpr bool kTables = true;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k / 2);
    const std::int64_t block = row.scale + k / 64;
    if (w.nested == nullptr) {
      chunk.scale = static_cast<const float*>(w.scales)[block];
    } else {
      // Taken together where it is used: nothing may wait for the code here.
      chunk.scale = w.nested[256 + block / 256];
      chunk.minimum = __int_as_float(static_cast<const std::uint8_t*>(w.scales)[block]);
    }
    return chunk;
  }
  __device__ static void values(const Chunk& c, const Tables& tables, int j, float (&v)[8]) {
    const std::uint32_t word = c.word(j);
    float scale = c.scale;
    if (tables.map != nullptr) {  // two roundings, as the reference has them
      scale = __fadd_rn(__fmul_rn(tables.map[__float_as_int(c.minimum)], c.scale), tables.offset);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      // The table's place ends in zeros where code * 128 stands: one instruction joins them.
      const std::uint32_t at = i < 2 ? word << (7 - 4 * i) : word >> (4 * i - 7);
      v[i] = load_shared((at & 0x780U) | tables.values) * scale;
    }
  }
};
using Nf4Codes = FourBitCodes<Code::nf4>;
using Fp4Codes = FourBitCodes<Code::fp4>;

/// A nibble as the low bits of 2^23 makes the float 2^23 + nibble.
__device__ inline float nibble(std::uint32_t word, int i) {
  return __uint_as_float((word >> (4 * i) & 0xfU) | 0x4B000000U);
}

struct Q4_0Codes : Blocks<32> {
  static constexpr Code kCode = Code::q4_0;
  static constexpr int kPerChunk = 32;
  static constexpr bool kDirect = false;
  static constexpr bool kColumn = false;
  static constexpr bool kTables = false;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k / 2);
    const auto* scales = static_cast<const __half*>(w.scales);
    chunk.scale = __half2float(scales[row.scale + k / 32]);
    return chunk;
  }
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = (nibble(c.word(j), i) - 8388616.0F) * c.scale;
  }
};

struct Q4_1Codes : Q4_0Codes {
  static constexpr Code kCode = Code::q4_1;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k / 2);
    const auto* scales = static_cast<const __half2*>(w.scales);
    const float2 pair = __half22float2(scales[row.scale + k / 32]);
    chunk.scale = pair.x;
    chunk.minimum = pair.y;
    return chunk;
  }
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[8]) {
    // The product is exact: a fused addition rounds once, as the reference does.
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      v[i] = fmaf(nibble(c.word(j), i) - 8388608.0F, c.scale, c.minimum);
    }
  }
};

/// int4 and uint8: (code - zero) * scale of the group, which is exact but for one rounding.
template <Code E>
struct GroupCodes {
  __device__ static int scales_of_row(const Weight& w) { return w.groups; }
  static constexpr Code kCode = E;
  static constexpr int kPerChunk = E == Code::int4 ? 32 : 16;
  static constexpr bool kDirect = false;
  static constexpr bool kColumn = false;
  static constexpr bool kTables = false;
  __device__ static Chunk load(const Weight& w, const Tables&, const WeightRow& row, int k) {
    Chunk chunk;
    chunk.codes = load_weights(row.codes + k / (kPerChunk / 16));
    // A group is a multiple of a chunk; the depth is whole chunks.
    const std::int64_t group = row.scale + k / w.group;
    chunk.scale = static_cast<const float*>(w.scales)[group];
    chunk.minimum = 8388608.0F + static_cast<float>(w.zeros[group]);
    return chunk;
  }
  __device__ static void values(const Chunk& c, const Tables&, int j, float (&v)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float biased =
          E == Code::int4
              ? nibble(c.word(j), i)
              : __uint_as_float(__byte_perm(c.word(2 * j + i / 4), 0x4B000000U, 0x7440 + i % 4));
      v[i] = (biased - c.minimum) * c.scale;
    }
  }
};
using Int4Codes = GroupCodes<Code::int4>;
using Uint8Codes = GroupCodes<Code::uint8>;

/// Part j of a chunk as 16 bytes of operands of Mma.
template <typename Mma, typename Codes>
__device__ inline uint4 operands(const Chunk& chunk, const Tables& tables, int j) {
  if constexpr (Codes::kDirect) {
    return chunk.codes;
  } else {
    float v[8];
    Codes::values(chunk, tables, j, v);
    using T = typename Mma::Type;
    return {pack_pair<T>(v[0], v[1]), pack_pair<T>(v[2], v[3]), pack_pair<T>(v[4], v[5]),
            pack_pair<T>(v[6], v[7])};
  }
}
/// Parts of 16 bytes that a chunk becomes.
template <typename Codes>
inline constexpr int kParts = Codes::kDirect ? 1 : Codes::kPerChunk / 8;

/// What every sum of a column is multiplied with.
template <typename Codes>
__device__ inline float column_scale(const Weight& w, int row) {
  if constexpr (Codes::kColumn) return static_cast<const float*>(w.scales)[row];
  return 1.0F;
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
