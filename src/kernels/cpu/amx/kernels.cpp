#include "kernels/cpu/linear/identity.h"

#if defined(__x86_64__)

#include "kernels/cpu/amx/tiles.h"
#include "kernels/cpu/vnni/table.h"

// AMX: products are those of tiles, but for one row of codes, which is decoded and multiplied by
// VDPBF16PS at once. What is not a product (decoding, scales, outputs) is that of the instruction
// sets below.
namespace assay::kernels::cpu {
namespace {

struct Path {
  static constexpr Isa kIsa = Isa::amx;
  static NativeOps native(NativeOps ops) {
    ops.multiply = amx::multiply_bf16;
    ops.starts = true;
    return ops;
  }
  static Int8Ops int8(Int8Ops ops) {
    ops.multiply = amx::multiply_int8;
    return ops;
  }
};

}  // namespace

std::span<const CompiledLinear> amx_kernels() { return vnni::Table<Path>::kernels(); }
std::span<const CompiledLinear> amx_block_kernels() { return vnni::Table<Path>::block_kernels(); }

}  // namespace assay::kernels::cpu

#else

namespace assay::kernels::cpu {
std::span<const CompiledLinear> amx_kernels() { return {}; }
std::span<const CompiledLinear> amx_block_kernels() { return {}; }
}  // namespace assay::kernels::cpu

#endif
