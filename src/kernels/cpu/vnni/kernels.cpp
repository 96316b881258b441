#include "kernels/cpu/linear/identity.h"
#include "precision/constants.h"
#include "precision/encodings/block_forms.h"

#if defined(__x86_64__)

#include "kernels/cpu/vnni/vnni.h"

// The rows of the table for AVX-512 with VNNI and BF16. Steps that gain nothing from these
// instructions (scales, outputs, quantizing a row) are those of AVX-512.
namespace assay::kernels::cpu {
namespace {

constexpr Isa kIsa = Isa::avx512_vnni_bf16;

NativeOps bf16_ops(std::int64_t unit, decltype(NativeOps::source) source,
                   decltype(NativeOps::decode) decode, decltype(NativeOps::single) single) {
  NativeOps ops = native_ops_avx512();
  ops.compute = DType::bf16;
  ops.operand = DType::bf16;
  ops.unit = unit;
  ops.load_row = vnni::load_row_bf16;
  ops.multiply = vnni::multiply_bf16;
  ops.source = source;
  ops.decode = decode;
  ops.single = single;
  return ops;
}

template <Encoding E>
NativeOps ops_of() {
  if constexpr (E == Encoding::bf16) return bf16_ops(kBf16Unit, source_codes, nullptr, nullptr);
  if constexpr (E == Encoding::int8) {
    NativeOps ops = bf16_ops(kByteUnit, source_codes, vnni::decode_codes, vnni::single_codes);
    ops.column_factor = precision::kInverse127;
    return ops;
  }
  if constexpr (E == Encoding::nf4) {
    return bf16_ops(kNibbleUnit, source_nf4, vnni::decode_nibbles, vnni::single_nibbles);
  }
  if constexpr (E == Encoding::fp4) {
    return bf16_ops(kNibbleUnit, source_fp4, vnni::decode_nibbles, vnni::single_nibbles);
  }
  if constexpr (E == Encoding::q4_0) {
    return bf16_ops(kNibbleUnit, source_q4_0, vnni::decode_nibbles, vnni::single_nibbles);
  }
  if constexpr (E == Encoding::q4_1) {
    return bf16_ops(kNibbleUnit, source_q4_1, vnni::decode_nibbles_minima,
                    vnni::single_nibbles_minima);
  }
  if constexpr (E == Encoding::int4) {
    return bf16_ops(kNibbleUnit, source_int4, vnni::decode_nibbles_minima,
                    vnni::single_nibbles_minima);
  }
  if constexpr (E == Encoding::q8_0) {
    return bf16_ops(kByteUnit, source_q8_0, vnni::decode_scaled_bytes, vnni::single_scaled_bytes);
  }
}

template <Encoding E>
KernelIdentity run(LinearCall& call) {
  static const NativeOps ops = ops_of<E>();
  run_native(call, ops);
  return linear_identity<E, Activation::native, DType::bf16, kIsa>();
}

const Int8Ops& int8_ops() {
  static const Int8Ops ops = [] {
    Int8Ops shared = int8_ops_avx512();
    shared.wide_codes = false;
    shared.multiply = vnni::multiply_int8;
    return shared;
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
  constexpr auto kNamed = precision::kBlockForms[I];
  static const NativeOps ops = [] {
    const vnni::Steps steps = vnni::block_steps(I);
    return bf16_ops(kNamed.form->bits == 4 ? kNibbleUnit : kPlaneUnit, source_blocks, steps.decode,
                    steps.single);
  }();
  run_native(call, ops);
  return linear_identity<kNamed.encoding, Activation::native, DType::bf16, kIsa>();
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
