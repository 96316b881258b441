#pragma once

#include "precision/encodings/common.h"

// Q4_1 of GGUF. A block of 32 weights of one row is 20 bytes: fp16 d, fp16 m, then 16 bytes with
// weight j in the low and weight j + 16 in the high nibble. A code q stands for q * d + m.
// Encoding: m = minimum, d = (maximum - minimum) / 15, in f32; the codes use d and m before they
// are rounded to fp16.
namespace assay::precision {

inline constexpr std::int64_t kQ4_1BlockBytes = 20;

[[nodiscard]] std::int64_t q4_1_code_bytes(std::int64_t rows, std::int64_t cols);
void encode_q4_1(std::span<const float> values, std::int64_t first, std::int64_t cols,
                 std::span<std::byte> codes, std::span<float> scales);
void decode_q4_1(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kQ4_1Info = {Encoding::q4_1,
                                           "q4_1",
                                           32,
                                           5.0,
                                           true,
                                           true,
                                           q4_1_code_bytes,
                                           encode_as<Encoding::q4_1>,
                                           decode_q4_1,
                                           encode_q4_1,
                                           no_scales};

}  // namespace assay::precision
