#include "kernels/cpu/linear/identity.h"
#include "precision/constants.h"
#include "precision/encodings/block_forms.h"

#if defined(__x86_64__)

#include "kernels/cpu/vnni/ops.h"

// The rows of the table for AVX-512 with VNNI and BF16. Steps that gain nothing from these
// instructions (scales, outputs, quantizing a row) are those of AVX-512.
namespace assay::kernels::cpu {
namespace {

constexpr Isa kIsa = Isa::avx512_vnni_bf16;

template <Encoding E>
KernelIdentity run(LinearCall& call) {
  static const NativeOps ops = vnni::ops_of<E>();
  run_native(call, ops);
  return linear_identity<E, Activation::native, DType::bf16, kIsa>();
}

const Int8Ops& int8_ops() {
  static const Int8Ops ops = vnni::int8_ops();
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
  static const NativeOps ops = vnni::block_ops<I>();
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

std::span<const CompiledLinear> vnni_kernels() { return kKernels; }
std::span<const CompiledLinear> vnni_block_kernels() { return kBlockKernels; }

}  // namespace assay::kernels::cpu

#else

namespace assay::kernels::cpu {
std::span<const CompiledLinear> vnni_kernels() { return {}; }
std::span<const CompiledLinear> vnni_block_kernels() { return {}; }
}  // namespace assay::kernels::cpu

#endif
