#pragma once

#include <array>

#include "precision/encodings/common.h"

// What nf4 and fp4 share: blocks of 64 weights of the row-major flattened tensor, across row
// borders; two codes a byte, the first in the high nibble; one f32 absmax a block. A weight is
// scaled by the f32 reciprocal of its absmax, in a partial last block by division (there an absmax
// is at least 1e-38), and gets the code of the nearest table value, the lower one at a midpoint.
// After an odd number of weights the last low nibble holds the code of zero.
namespace assay::precision {

struct FourBitTable {
  const std::array<float, 16>& values;
  const std::array<float, 15>& bounds;
  const std::array<std::uint8_t, 16>& order;  ///< codes in ascending order of their values
};

[[nodiscard]] std::int64_t four_bit_code_bytes(std::int64_t rows, std::int64_t cols);
[[nodiscard]] std::int64_t four_bit_scale_count(std::int64_t rows, std::int64_t cols);
void encode_four_bit(const FourBitTable& table, std::span<const float> values, std::int64_t first,
                     std::span<std::byte> codes, std::span<float> scales);
void decode_four_bit(const FourBitTable& table, const EncodedTensor& tensor, std::int64_t r,
                     std::span<float> out);

/// The f32 scale of one block, double-quantized or not.
[[nodiscard]] float block_scale(const EncodedTensor& tensor, std::int64_t block);

}  // namespace assay::precision
