#pragma once

#include "kernels/cpu/vnni/vnni.h"
#include "precision/constants.h"
#include "precision/encodings/block_forms.h"

// The steps of AVX-512 with VNNI and BF16 for every encoding. Those that gain nothing from these
// instructions (scales, outputs, quantizing a row) are those of AVX-512.
namespace assay::kernels::cpu::vnni {

inline NativeOps bf16_ops(std::int64_t unit, decltype(NativeOps::source) source,
                          decltype(NativeOps::decode) decode, decltype(NativeOps::single) single) {
  NativeOps ops = native_ops_avx512();
  ops.compute = DType::bf16;
  ops.operand = DType::bf16;
  ops.unit = unit;
  ops.load_row = load_row_bf16;
  ops.multiply = multiply_bf16;
  ops.starts = false;
  ops.stores = false;
  ops.source = source;
  ops.decode = decode;
  ops.single = single;
  return ops;
}

inline NativeOps nibble_ops(decltype(NativeOps::source) source, decltype(NativeOps::decode) decode,
                            decltype(NativeOps::single) single) {
  NativeOps ops = bf16_ops(kNibbleUnit, source, decode, single);
  ops.arrange = arrange_row;
  ops.arranged_depth = arranged_depth;
  return ops;
}

template <Encoding E>
[[nodiscard]] NativeOps ops_of() {
  if constexpr (E == Encoding::bf16) return bf16_ops(kBf16Unit, source_codes, nullptr, nullptr);
  if constexpr (E == Encoding::int8) {
    NativeOps ops = bf16_ops(kByteUnit, source_codes, decode_codes, single_codes);
    ops.column_factor = precision::kInverse127;
    return ops;
  }
  if constexpr (E == Encoding::nf4) {
    return nibble_ops(source_nf4, decode_nibbles, single_nibbles);
  }
  if constexpr (E == Encoding::fp4) {
    return nibble_ops(source_fp4, decode_nibbles, single_nibbles);
  }
  if constexpr (E == Encoding::q4_0) {
    return nibble_ops(source_q4_0, decode_nibbles, single_nibbles);
  }
  if constexpr (E == Encoding::q4_1) {
    return nibble_ops(source_q4_1, decode_nibbles_minima, single_nibbles_minima);
  }
  if constexpr (E == Encoding::int4) {
    return nibble_ops(source_int4, decode_nibbles_minima, single_nibbles_minima);
  }
  if constexpr (E == Encoding::q8_0) {
    return bf16_ops(kByteUnit, source_q8_0, decode_scaled_bytes, single_scaled_bytes);
  }
}

template <std::size_t I>
[[nodiscard]] NativeOps block_ops() {
  const Steps steps = block_steps(I);
  constexpr precision::BlockForm kForm = *precision::kBlockForms[I].form;
  constexpr bool kNibbles = kForm.bits == 4;
  static_assert(!kNibbles || kForm.group == 32, "lookup_row.cpp reads blocks of 32 or 64");
  return kNibbles ? nibble_ops(source_blocks, steps.decode, steps.single)
                  : bf16_ops(kPlaneUnit, source_blocks, steps.decode, steps.single);
}

[[nodiscard]] inline Int8Ops int8_ops() {
  Int8Ops ops = int8_ops_avx512();
  ops.split = nullptr;
  ops.multiply = multiply_int8;
  return ops;
}

}  // namespace assay::kernels::cpu::vnni
