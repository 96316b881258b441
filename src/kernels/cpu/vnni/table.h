#pragma once

#include "kernels/cpu/vnni/ops.h"

// The rows of the kernel table for instruction sets that multiply bf16 and 8-bit codes: one list
// for AVX-512 with VNNI and BF16, and for AMX, which differ in the product alone.
namespace assay::kernels::cpu::vnni {

/// Path has kIsa, and native() and int8() that put its products into the steps of VNNI and BF16.
template <class Path>
struct Table {
  template <Encoding E, Activation A = Activation::native, DType C = DType::bf16>
  static consteval KernelIdentity identity() {
    return linear_identity<E, A, C, Path::kIsa>();
  }

  template <Encoding E>
  static KernelIdentity run(LinearCall& call) {
    static const NativeOps ops = Path::native(ops_of<E>());
    run_native(call, ops);
    return identity<E>();
  }

  template <std::size_t I>
  static KernelIdentity run_blocks(LinearCall& call) {
    static const NativeOps ops = Path::native(block_ops<I>());
    run_native(call, ops);
    return identity<precision::kBlockForms[I].encoding>();
  }

  static const Int8Ops& integers() {
    static const Int8Ops ops = Path::int8(int8_ops());
    return ops;
  }

  static KernelIdentity run_int8(LinearCall& call) {
    run_int8_dynamic(call, integers());
    return identity<Encoding::int8, Activation::int8_dynamic, DType::i8>();
  }

  static KernelIdentity run_int8_fixed(LinearCall& call) {
    run_int8_static(call, integers());
    return identity<Encoding::int8, Activation::int8_static, DType::i8>();
  }

  template <Encoding... E>
  static consteval auto list() {
    return std::array<CompiledLinear, sizeof...(E) + 2>{
        {{identity<Encoding::int8, Activation::int8_dynamic, DType::i8>(), run_int8},
         {identity<Encoding::int8, Activation::int8_static, DType::i8>(), run_int8_fixed},
         {identity<E>(), run<E>}...}};
  }

  template <std::size_t... I>
  static consteval auto list_blocks(std::index_sequence<I...>) {
    return std::array<CompiledLinear, sizeof...(I)>{
        {{identity<precision::kBlockForms[I].encoding>(), run_blocks<I>}...}};
  }

  static std::span<const CompiledLinear> kernels() {
    static constexpr auto kKernels =
        list<Encoding::bf16, Encoding::int8, Encoding::nf4, Encoding::fp4, Encoding::q4_0,
             Encoding::q4_1, Encoding::q8_0, Encoding::int4>();
    return kKernels;
  }

  static std::span<const CompiledLinear> block_kernels() {
    static constexpr auto kKernels =
        list_blocks(std::make_index_sequence<precision::kBlockForms.size()>());
    return kKernels;
  }
};

}  // namespace assay::kernels::cpu::vnni
