// The steps of a linear layer on activations of the compute type. Compiled once for each target.
#if defined(ASSAY_KERNELS_CPU_LINEAR_NATIVE_OPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_CPU_LINEAR_NATIVE_OPS_INL_H_
#undef ASSAY_KERNELS_CPU_LINEAR_NATIVE_OPS_INL_H_
#else
#define ASSAY_KERNELS_CPU_LINEAR_NATIVE_OPS_INL_H_
#endif

#include "kernels/cpu/linear/nibbles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::cpu {
namespace HWY_NAMESPACE {

/// Packed as f32: nothing to decode.
constexpr NativeOps kF32Ops = {.compute = DType::f32,
                               .operand = DType::f32,
                               .unit = kFloatUnit,
                               .load_row = load_row_f32,
                               .multiply = multiply_f32,
                               .starts = true,
                               .stores = true,
                               .finish = finish_rows,
                               .half_to_float = half_to_float,
                               .scale_bytes = scale_bytes,
                               .source = source_codes,
                               .decode = nullptr,
                               .single = nullptr,
                               .decode_flat = nullptr,
                               .column_factor = 0.0F};

template <class Visitor>
constexpr NativeOps decoding(DType compute, std::int64_t unit, decltype(NativeOps::source) source) {
  NativeOps ops = kF32Ops;
  ops.compute = compute;
  ops.unit = unit;
  ops.source = source;
  ops.decode = decode_panel<Visitor>;
  ops.single = single_row<Visitor>;
  return ops;
}

/// Values of codes from a table.
template <DType Compute>
consteval NativeOps decoding_table(decltype(NativeOps::source) source) {
  NativeOps ops = decoding<TableNibbleVisitor<Compute>>(Compute, kNibbleUnit, source);
#if HWY_TARGET == HWY_AVX2
  if (Compute == DType::bf16) {
    ops.decode = decode_bf16_tables;
    ops.single = nullptr;
  }
#endif
  return ops;
}

/// Codes that are numbers, with minima.
template <DType Compute, NibbleScale Scale>
consteval NativeOps decoding_numbers(decltype(NativeOps::source) source) {
  return decoding<NumberNibbleVisitor<Compute, Scale>>(Compute, kNibbleUnit, source);
}

}  // namespace HWY_NAMESPACE
}  // namespace assay::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
