#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/linear/arguments.h"

// Instructions that the linear kernels are made of. Everything is in a namespace of the path that
// it is compiled for.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

enum class PathNumber : std::uint8_t { sm75, sm80, sm90 };
inline constexpr PathNumber kPath = PathNumber::ASSAY_CUDA_PATH;
inline constexpr bool kTuring = kPath == PathNumber::sm75;

// Numbers of precision::Encoding, precision::Activation and tensor::DType; table.cpp checks them.
enum class Code : std::uint8_t {
  f32,
  f16,
  bf16,
  int8,
  nf4,
  fp4,
  q4_0,
  q4_1,
  q8_0,
  int4,
  uint8,
  fp8
};
enum class Act : std::uint8_t { native, int8_dynamic, fp8_dynamic, int8_static };
enum class Num : std::uint8_t { f32, f16, bf16, i32, i8, u8, tf32, fp8 };

template <Code E, Act A, Num C>
inline constexpr Identity kIdentity = {static_cast<std::uint8_t>(E), static_cast<std::uint8_t>(A),
                                       static_cast<std::uint8_t>(C),
                                       static_cast<std::uint8_t>(kPath)};

/// 16 bytes of weights, which are read once: they do not stay in the first cache.
__device__ inline uint4 load_weights(const void* from) {
  uint4 v;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

__device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

/// 16 bytes from global to shared memory, zeros if not `there`. Turing copies through registers.
__device__ inline void copy_chunk(void* to, const void* from, bool there) {
  if constexpr (kTuring) {
    *static_cast<uint4*>(to) = there ? *static_cast<const uint4*>(from) : uint4{0, 0, 0, 0};
  } else {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(there ? 16 : 0));
  }
}
__device__ inline void commit_copies() {
  if constexpr (!kTuring) asm volatile("cp.async.commit_group;");
}
template <int Pending>
__device__ inline void wait_for_copies() {
  if constexpr (!kTuring) asm volatile("cp.async.wait_group %0;" ::"n"(Pending));
}

__device__ inline void load_matrices(std::uint32_t (&out)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared_address(row)));
}

__device__ inline float read_element(const DeviceMatrix& m, std::int64_t row, std::int64_t col) {
  const std::int64_t at = row * m.stride + col;
  if (m.type == Element::f32) return static_cast<const float*>(m.data)[at];
  if (m.type == Element::f16) return __half2float(static_cast<const __half*>(m.data)[at]);
  return __bfloat162float(static_cast<const __nv_bfloat16*>(m.data)[at]);
}
__device__ inline void write_element(const DeviceMatrix& m, std::int64_t row, std::int64_t col,
                                     float value) {
  const std::int64_t at = row * m.stride + col;
  if (m.type == Element::f32) {
    static_cast<float*>(m.data)[at] = value;
  } else if (m.type == Element::f16) {
    static_cast<__half*>(m.data)[at] = __float2half_rn(value);
  } else {
    static_cast<__nv_bfloat16*>(m.data)[at] = __float2bfloat16_rn(value);
  }
}

template <typename T>
__device__ inline std::uint32_t pack_pair(float low, float high);
template <>
__device__ inline std::uint32_t pack_pair<__half>(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}
template <>
__device__ inline std::uint32_t pack_pair<__nv_bfloat16>(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

// Products of 16 rows x 32 bytes and 8 rows x 32 bytes. Every type has the same arrangement of
// bytes: thread (g, t) = (lane / 4, lane % 4) holds bytes 4t..4t+3 (a[0], b[0]) and 16 + 4t..
// (a[2], b[1]) of row g, a[1] and a[3] those of row g + 8; c[0], c[1] are row g, columns 2t and 2t
// + 1, c[2], c[3] row g + 8.

struct MmaF16 {
  static constexpr bool kHere = true;
  using Acc = float;
  using Type = __half;
  static constexpr Num kCompute = Num::f16;
  __device__ static void run(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t b0,
                             const std::uint32_t b1) {
    if constexpr (kTuring) {
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
          "{%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(b0));
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
          "{%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[2]), "r"(a[3]), "r"(b1));
    } else {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
          "{%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
  }
};

struct MmaBf16 {
  static constexpr bool kHere = !kTuring;
  using Acc = float;
  using Type = __nv_bfloat16;
  static constexpr Num kCompute = Num::bf16;
  __device__ static void run(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t b0,
                             const std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};

/// Operands are f32; each is rounded to tf32 here, to nearest.
struct MmaTf32 {
  static constexpr bool kHere = !kTuring;
  using Acc = float;
  using Type = float;
  static constexpr Num kCompute = Num::tf32;
  __device__ static std::uint32_t rounded(std::uint32_t bits) {
    std::uint32_t result;
    asm volatile("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(__uint_as_float(bits)));
    return result;
  }
  __device__ static void run(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t b0,
                             const std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(rounded(a[0])), "r"(rounded(a[1])), "r"(rounded(a[2])), "r"(rounded(a[3])),
          "r"(rounded(b0)), "r"(rounded(b1)));
  }
};

struct MmaInt8 {
  static constexpr bool kHere = true;
  using Acc = std::int32_t;
  using Type = std::int8_t;
  static constexpr Num kCompute = Num::i8;
  __device__ static void turing(std::int32_t& c0, std::int32_t& c1, std::uint32_t a,
                                std::uint32_t b) {
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+r"(c0), "+r"(c1)
                 : "r"(a), "r"(b));
  }
  __device__ static void run(std::int32_t (&c)[4], const std::uint32_t (&a)[4],
                             const std::uint32_t b0, const std::uint32_t b1) {
    if constexpr (kTuring) {
      turing(c[0], c[1], a[0], b0);
      turing(c[2], c[3], a[1], b0);
      turing(c[0], c[1], a[2], b1);
      turing(c[2], c[3], a[3], b1);
    } else {
      asm volatile(
          "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
          "{%8, %9}, {%0, %1, %2, %3};"
          : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
  }
};

/// Compute capability 8.9 and 9.0; supports() keeps it from others.
struct MmaFp8 {
  static constexpr bool kHere = !kTuring;
  using Acc = float;
  using Type = std::uint8_t;
  static constexpr Num kCompute = Num::fp8;
  __device__ static void run(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t b0,
                             const std::uint32_t b1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    __trap();
#endif
  }
};

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
