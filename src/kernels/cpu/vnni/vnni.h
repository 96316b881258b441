#pragma once

#include <immintrin.h>

#include "kernels/cpu/linear/identity.h"
#include "kernels/cpu/linear/panel_ops.h"

// Kernels with VPDPBUSD and VDPBF16PS on 512 bits, by intrinsics: Highway 1.0.3 has no target with
// them. Every function carries the target itself; files have no flags of their own.
#define ASSAY_VNNI [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")]]
#define ASSAY_VNNI_INLINE [[gnu::always_inline]] ASSAY_VNNI inline

namespace assay::kernels::cpu::vnni {

inline constexpr int kVectors = 2;  ///< of 16 columns: a panel
inline constexpr int kLanes = 16;
/// 24 of 32 registers hold sums.
inline constexpr int kTileRows = 12;

/// Block of bf16 x and a panel of bf16 pairs (unit 2), by VDPBF16PS: pairs of products enter one
/// f32 sum per output, depths ascending; denormals count as zero.
void multiply_bf16(const Block& block);
/// int8 codes of x and unsigned codes of weights (unit 4), by VPDPBUSD, exact.
void multiply_int8(const IntegerBlock& block);
/// A row of any floating type to bf16.
void load_row_bf16(const LoadRow& row);

// NativeOps::decode and ::single to bf16.
void decode_codes(const PanelSource&, std::int64_t begin, std::int64_t end, void* out);
void single_codes(const PanelSource&, const void* x, std::int64_t k, float* acc);
void decode_scaled_bytes(const PanelSource&, std::int64_t begin, std::int64_t end, void* out);
void single_scaled_bytes(const PanelSource&, const void* x, std::int64_t k, float* acc);
void decode_nibbles(const PanelSource&, std::int64_t begin, std::int64_t end, void* out);
void decode_nibbles_minima(const PanelSource&, std::int64_t begin, std::int64_t end, void* out);

// ::single of 4-bit codes, and ::arrange and ::arranged_depth of the x that it takes.
void single_nibbles(const PanelSource&, const void* x, std::int64_t k, float* acc);
void single_nibbles_minima(const PanelSource&, const void* x, std::int64_t k, float* acc);
void arrange_row(const void* x, std::int64_t k, void* out);
[[nodiscard]] std::int64_t arranged_depth(std::int64_t k);

/// The two for codes of this form (precision::kBlockForms).
struct Steps {
  decltype(NativeOps::decode) decode;
  decltype(NativeOps::single) single;
};
[[nodiscard]] Steps block_steps(std::size_t form);

}  // namespace assay::kernels::cpu::vnni
