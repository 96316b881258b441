#include "kernels/cpu/linear/identity.h"
#include "kernels/cpu/linear/panel_ops.h"
#include "kernels/cpu/linear/targets.h"
#include "precision/constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear/native_hwy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/linear/native_ops-inl.h"

// Linear layers on activations of the compute type: portable, AVX2, AVX-512.
HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

template <Encoding E, DType C>
consteval NativeOps make_ops() {
  if constexpr (E == Encoding::f32) return kF32Ops;
  if constexpr (E == Encoding::f16) return decoding<F16Visitor>(C, kFloatUnit, source_codes);
  if constexpr (E == Encoding::bf16) return decoding<Bf16Visitor>(C, kBf16Unit, source_codes);
  if constexpr (E == Encoding::int8) {
    NativeOps ops = decoding<CodeVisitor>(C, kByteUnit, source_codes);
    ops.column_factor = precision::kInverse127;
    return ops;
  }
  if constexpr (E == Encoding::nf4 || E == Encoding::fp4) {
    const bool nf4 = E == Encoding::nf4;
    NativeOps ops = decoding_table<C>(nf4 ? source_nf4 : source_fp4);
    ops.decode_flat = nf4 ? decode_flat_nf4 : decode_flat_fp4;
    return ops;
  }
  if constexpr (E == Encoding::q4_0) {
    return decoding<NumberNibbleVisitor<C, NibbleScale::single, 8>>(C, kNibbleUnit, source_q4_0);
  }
  if constexpr (E == Encoding::q4_1) {
    return decoding_numbers<C, NibbleScale::with_minimum>(source_q4_1);
  }
  if constexpr (E == Encoding::q8_0) {
    return decoding<ScaledByteVisitor<C>>(C, kByteUnit, source_q8_0);
  }
  if constexpr (E == Encoding::int4) {
    return decoding_numbers<C, NibbleScale::any_with_minimum>(source_int4);
  }
  if constexpr (E == Encoding::uint8) {
    return decoding<ScaledByteVisitor<C, true>>(C, kByteUnit, source_uint8);
  }
  if constexpr (E == Encoding::fp8_e4m3) {
    NativeOps ops = decoding<Fp8Visitor>(C, kByteUnit, source_codes);
    ops.column_factor = 1.0F;
    return ops;
  }
}

template <Encoding E, DType C>
KernelIdentity run(LinearCall& call) {
  static constexpr NativeOps kOps = make_ops<E, C>();
  run_native(call, kOps);
  return linear_identity<E, Activation::native, C, kIsa>();
}

template <Encoding E, DType C>
consteval CompiledLinear compiled() {
  return {linear_identity<E, Activation::native, C, kIsa>(), run<E, C>};
}

constexpr CompiledLinear kKernels[] = {
    compiled<Encoding::f32, DType::f32>(),      compiled<Encoding::f16, DType::f16>(),
    compiled<Encoding::bf16, DType::bf16>(),    compiled<Encoding::int8, DType::f32>(),
    compiled<Encoding::int8, DType::f16>(),     compiled<Encoding::int8, DType::bf16>(),
    compiled<Encoding::nf4, DType::f32>(),      compiled<Encoding::nf4, DType::f16>(),
    compiled<Encoding::nf4, DType::bf16>(),     compiled<Encoding::fp4, DType::f32>(),
    compiled<Encoding::fp4, DType::f16>(),      compiled<Encoding::fp4, DType::bf16>(),
    compiled<Encoding::q4_0, DType::f32>(),     compiled<Encoding::q4_0, DType::f16>(),
    compiled<Encoding::q4_0, DType::bf16>(),    compiled<Encoding::q4_1, DType::f32>(),
    compiled<Encoding::q4_1, DType::f16>(),     compiled<Encoding::q4_1, DType::bf16>(),
    compiled<Encoding::q8_0, DType::f32>(),     compiled<Encoding::q8_0, DType::f16>(),
    compiled<Encoding::q8_0, DType::bf16>(),    compiled<Encoding::int4, DType::f32>(),
    compiled<Encoding::int4, DType::f16>(),     compiled<Encoding::int4, DType::bf16>(),
    compiled<Encoding::uint8, DType::f32>(),    compiled<Encoding::uint8, DType::f16>(),
    compiled<Encoding::uint8, DType::bf16>(),   compiled<Encoding::fp8_e4m3, DType::f32>(),
    compiled<Encoding::fp8_e4m3, DType::f16>(), compiled<Encoding::fp8_e4m3, DType::bf16>(),
};

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

static_assert(HWY_NAMESPACE::kIsa == Isa::portable, "compile without -m flags: they leak");

std::span<const CompiledLinear> native_kernels(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::kKernels;
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::kKernels;
#endif
  if (isa == Isa::portable) return HWY_NAMESPACE::kKernels;
  return {};
}

#if HWY_TARGETS & HWY_AVX3
const NativeOps& native_ops_avx512() { return N_AVX3::kF32Ops; }
#endif

}  // namespace assay::kernels::cpu
#endif
