#include "kernels/cpu/linear/identity.h"

#if defined(__x86_64__)

#include "kernels/cpu/vnni/table.h"

namespace assay::kernels::cpu {
namespace {

struct Path {
  static constexpr Isa kIsa = Isa::avx512_vnni_bf16;
  static NativeOps native(const NativeOps& ops) { return ops; }
  static Int8Ops int8(const Int8Ops& ops) { return ops; }
};

}  // namespace

std::span<const CompiledLinear> vnni_kernels() { return vnni::Table<Path>::kernels(); }
std::span<const CompiledLinear> vnni_block_kernels() { return vnni::Table<Path>::block_kernels(); }

}  // namespace assay::kernels::cpu

#else

namespace assay::kernels::cpu {
std::span<const CompiledLinear> vnni_kernels() { return {}; }
std::span<const CompiledLinear> vnni_block_kernels() { return {}; }
}  // namespace assay::kernels::cpu

#endif
