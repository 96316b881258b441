#pragma once

#include "kernels/cpu/linear.h"

// LinearKernel::pack and the reading of packed rows, once per encoding: every kernel of an encoding
// shares them.
namespace assay::kernels::cpu {

using PackWeight = PackedWeight (*)(const precision::EncodedTensor& weight, base::ThreadPool& pool);
/// Rows `ids` of the dequantized weight into y, equal to the encoding's reference decoder in f32,
/// then rounded to y's type.
using LookupRows = void (*)(const PackedWeight& weight, std::span<const std::int32_t> ids,
                            tensor::MatrixView y);

[[nodiscard]] PackWeight packer(precision::Encoding encoding) noexcept;
[[nodiscard]] LookupRows row_reader(precision::Encoding encoding) noexcept;

/// Bytes of one panel of an encoding's codes for depth k.
[[nodiscard]] std::int64_t panel_bytes(precision::Encoding encoding, std::int64_t k) noexcept;

}  // namespace assay::kernels::cpu
