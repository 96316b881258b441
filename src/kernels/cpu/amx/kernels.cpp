#include "kernels/cpu/linear/identity.h"
#include "precision/encodings/block_forms.h"

#if defined(__x86_64__)

#include "kernels/cpu/amx/tiles.h"
#include "kernels/cpu/vnni/ops.h"

// The rows of the table for AMX: every product is one of tiles, for any number of rows. What is not
// a product (decoding, scales, outputs) is that of the instruction sets below.
namespace assay::kernels::cpu {
namespace {

constexpr Isa kIsa = Isa::amx;

NativeOps with_tiles(NativeOps ops) {
  ops.multiply = amx::multiply_bf16;
  ops.single = nullptr;  // its products would be VDPBF16PS
  return ops;
}

template <Encoding E>
KernelIdentity run(LinearCall& call) {
  static const NativeOps ops = with_tiles(vnni::ops_of<E>());
  run_native(call, ops);
  return linear_identity<E, Activation::native, DType::bf16, kIsa>();
}

const Int8Ops& int8_ops() {
  static const Int8Ops ops = [] {
    Int8Ops tiles = vnni::int8_ops();
    tiles.multiply = amx::multiply_int8;
    return tiles;
  }();
  return ops;
}

KernelIdentity run_int8(LinearCall& call) {
  run_int8_dynamic(call, int8_ops());
  return linear_identity<Encoding::int8, Activation::int8_dynamic, DType::i8, kIsa>();
}

KernelIdentity run_int8_fixed(LinearCall& call) {
  run_int8_static(call, int8_ops());
  return linear_identity<Encoding::int8, Activation::int8_static, DType::i8, kIsa>();
}

template <Encoding E>
consteval CompiledLinear compiled() {
  return {linear_identity<E, Activation::native, DType::bf16, kIsa>(), run<E>};
}

template <std::size_t I>
KernelIdentity run_blocks(LinearCall& call) {
  static const NativeOps ops = with_tiles(vnni::block_ops<I>());
  run_native(call, ops);
  return linear_identity<precision::kBlockForms[I].encoding, Activation::native, DType::bf16,
                         kIsa>();
}

template <std::size_t... I>
consteval auto compile_blocks(std::index_sequence<I...>) {
  return std::array<CompiledLinear, sizeof...(I)>{
      {{linear_identity<precision::kBlockForms[I].encoding, Activation::native, DType::bf16,
                        kIsa>(),
        run_blocks<I>}...}};
}

constexpr auto kBlockKernels =
    compile_blocks(std::make_index_sequence<precision::kBlockForms.size()>());

constexpr CompiledLinear kKernels[] = {
    compiled<Encoding::bf16>(),
    {linear_identity<Encoding::int8, Activation::int8_dynamic, DType::i8, kIsa>(), run_int8},
    {linear_identity<Encoding::int8, Activation::int8_static, DType::i8, kIsa>(), run_int8_fixed},
    compiled<Encoding::int8>(),
    compiled<Encoding::nf4>(),
    compiled<Encoding::fp4>(),
    compiled<Encoding::q4_0>(),
    compiled<Encoding::q4_1>(),
    compiled<Encoding::q8_0>(),
    compiled<Encoding::int4>()};

}  // namespace

std::span<const CompiledLinear> amx_kernels() { return kKernels; }
std::span<const CompiledLinear> amx_block_kernels() { return kBlockKernels; }

}  // namespace assay::kernels::cpu

#else

namespace assay::kernels::cpu {
std::span<const CompiledLinear> amx_kernels() { return {}; }
std::span<const CompiledLinear> amx_block_kernels() { return {}; }
}  // namespace assay::kernels::cpu

#endif
