#pragma once

#include "precision/encodings/common.h"

// Q4_0 of GGUF. A block of 32 weights of one row is 18 bytes: fp16 d, then 16 bytes with weight j
// in the low and weight j + 16 in the high nibble. A code q stands for (q - 8) * d. Encoding: d =
// (the value of largest magnitude, the first of several) / -8, in f32; the codes use that d before
// it is rounded to fp16.
namespace assay::precision {

inline constexpr std::int64_t kQ4_0BlockBytes = 18;

[[nodiscard]] std::int64_t q4_0_code_bytes(std::int64_t rows, std::int64_t cols);
void encode_q4_0(std::span<const float> values, std::int64_t first, std::int64_t cols,
                 std::span<std::byte> codes, std::span<float> scales);
void decode_q4_0(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kQ4_0Info = {Encoding::q4_0,
                                           "q4_0",
                                           32,
                                           4.5,
                                           true,
                                           true,
                                           q4_0_code_bytes,
                                           encode_as<Encoding::q4_0>,
                                           decode_q4_0,
                                           encode_q4_0,
                                           no_scales};

}  // namespace assay::precision
