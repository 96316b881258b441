#pragma once

#include "precision/encodings/common.h"

// int8, one scale per output channel, as LLM.int8() has it: one signed byte a weight, row-major;
// scales[r] = absmax of row r after rounding to fp16; code = rint(w * (127 / absmax)), 0 in a row
// of zeros. A code stands for code * scale * (1 / 127), multiplied in that order.
namespace assay::precision {

[[nodiscard]] std::int64_t int8_code_bytes(std::int64_t rows, std::int64_t cols);
[[nodiscard]] std::int64_t int8_scale_count(std::int64_t rows, std::int64_t cols);
void encode_int8(std::span<const float> values, std::int64_t first, std::int64_t cols,
                 std::span<std::byte> codes, std::span<float> scales);
void decode_int8(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kInt8Info = {Encoding::int8,
                                           "int8",
                                           0,
                                           8.0,
                                           true,
                                           true,
                                           int8_code_bytes,
                                           encode_as<Encoding::int8>,
                                           decode_int8,
                                           encode_int8,
                                           int8_scale_count};

}  // namespace assay::precision
