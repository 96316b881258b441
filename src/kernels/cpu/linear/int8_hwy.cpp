#include <bit>

#include "kernels/cpu/linear/identity.h"
#include "kernels/cpu/linear/panel_ops.h"
#include "kernels/cpu/linear/targets.h"
#include "precision/constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear/int8_hwy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/linear/int8-inl.h"

// LLM.int8(), and int8 with a fixed scale, without instructions for 8-bit products: portable, AVX2,
// AVX-512.
HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

constexpr Int8Ops kInt8Ops = {.load_row = load_row_f32,
                              .column_max = column_max,
                              .absmax = absmax,
                              .quantize = quantize_row,
                              .split = split_codes,
                              .multiply = multiply_integers,
                              .outlier_weights = outlier_weights,
                              .multiply_outliers = multiply_f32,
                              .rescale = rescale,
                              .finish = finish_rows};

inline KernelIdentity run_int8(LinearCall& call) {
  run_int8_dynamic(call, kInt8Ops);
  return linear_identity<Encoding::int8, Activation::int8_dynamic, DType::i8, kIsa>();
}

inline KernelIdentity run_int8_fixed(LinearCall& call) {
  run_int8_static(call, kInt8Ops);
  return linear_identity<Encoding::int8, Activation::int8_static, DType::i8, kIsa>();
}

constexpr CompiledLinear kInt8Kernels[] = {
    {linear_identity<Encoding::int8, Activation::int8_dynamic, DType::i8, kIsa>(), run_int8},
    {linear_identity<Encoding::int8, Activation::int8_static, DType::i8, kIsa>(), run_int8_fixed}};

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assay::kernels::cpu {

std::span<const CompiledLinear> int8_kernels(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::kInt8Kernels;
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::kInt8Kernels;
#endif
  if (isa == Isa::portable) return HWY_NAMESPACE::kInt8Kernels;
  return {};
}

#if HWY_TARGETS & HWY_AVX3
const Int8Ops& int8_ops_avx512() { return N_AVX3::kInt8Ops; }
#endif

}  // namespace assay::kernels::cpu
#endif
