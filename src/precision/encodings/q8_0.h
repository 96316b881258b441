#pragma once

#include "precision/encodings/common.h"

// Q8_0 of GGUF. A block of 32 weights of one row is 34 bytes: fp16 d, then 32 signed bytes. A code
// q stands for q * d. Encoding: d = absmax / 127 in f32; the codes use d before it is rounded to
// fp16, ties away from zero.
namespace assay::precision {

inline constexpr std::int64_t kQ8_0BlockBytes = 34;

[[nodiscard]] std::int64_t q8_0_code_bytes(std::int64_t rows, std::int64_t cols);
void encode_q8_0(std::span<const float> values, std::int64_t first, std::int64_t cols,
                 std::span<std::byte> codes, std::span<float> scales);
void decode_q8_0(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kQ8_0Info = {Encoding::q8_0,
                                           "q8_0",
                                           32,
                                           8.5,
                                           true,
                                           true,
                                           q8_0_code_bytes,
                                           encode_as<Encoding::q8_0>,
                                           decode_q8_0,
                                           encode_q8_0,
                                           no_scales};

}  // namespace assay::precision
