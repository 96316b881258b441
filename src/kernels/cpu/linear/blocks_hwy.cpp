#include <utility>

#include "kernels/cpu/linear/identity.h"
#include "kernels/cpu/linear/panel_ops.h"
#include "kernels/cpu/linear/targets.h"
#include "precision/encodings/block_forms.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear/blocks_hwy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/linear/native_ops-inl.h"
#include "kernels/cpu/linear/planes-inl.h"

// Linear layers on weights with EncodingInfo::blocks: portable, AVX2, AVX-512. A decoder depends on
// the bits of a code and on how it is scaled; encodings that agree in this share it.
HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

/// Codes of four bits have a table, others an offset. A test has it: under the sanitizers a
/// comparison of pointers is no constant.
template <std::size_t I, DType C>
consteval NativeOps block_ops() {
  constexpr precision::BlockForm kForm = *precision::kBlockForms[I].form;
  if constexpr (kForm.bits == 4) {
    // With minima the table is that of the numbers 0 to 15.
    if constexpr (kForm.has_minima()) {
      static_assert(*kForm.table == precision::kNibbleValues);
      return decoding_numbers<C, NibbleScale::with_minimum>(source_blocks);
    }
    return decoding_table<C>(source_blocks);
  } else {
    return decoding<PlaneVisitor<kForm.bits, kForm.offset, kForm.has_minima(), C>>(C, kPlaneUnit,
                                                                                   source_blocks);
  }
}

template <std::size_t I, DType C>
KernelIdentity run_blocks(LinearCall& call) {
  static constexpr NativeOps kOps = block_ops<I, C>();
  run_native(call, kOps);
  return linear_identity<precision::kBlockForms[I].encoding, Activation::native, C, kIsa>();
}

template <std::size_t I, DType C>
consteval CompiledLinear compiled_blocks() {
  return {linear_identity<precision::kBlockForms[I].encoding, Activation::native, C, kIsa>(),
          run_blocks<I, C>};
}

template <std::size_t... I>
consteval auto compile_blocks(std::index_sequence<I...>) {
  return std::array<CompiledLinear, 3 * sizeof...(I)>{compiled_blocks<I, DType::f32>()...,
                                                      compiled_blocks<I, DType::f16>()...,
                                                      compiled_blocks<I, DType::bf16>()...};
}

constexpr auto kBlockKernels =
    compile_blocks(std::make_index_sequence<precision::kBlockForms.size()>());

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

std::span<const CompiledLinear> block_kernels(Isa isa) {
  if (isa == Isa::amx) return amx_block_kernels();
  if (isa == Isa::avx512_vnni_bf16) return vnni_block_kernels();
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::kBlockKernels;
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::kBlockKernels;
#endif
  if (isa == Isa::portable) return HWY_NAMESPACE::kBlockKernels;
  return {};
}

}  // namespace assay::kernels::cpu
#endif
