#pragma once

#include "precision/encodings/blocks.h"

// Q5_0 and Q5_1 of GGUF: blocks of 32 weights of one row.
//   Q5_0, 22 bytes: fp16 d, 32 high bits (weight j in bit j), 16 bytes with the low four bits of
//   weight j in the low and of weight j + 16 in the high nibble. A code q stands for (q - 16) * d.
//   Q5_1, 24 bytes: fp16 d, fp16 m, then the same; q stands for q * d + m.
// Encoding, in f32: Q5_0: d = the weight of largest magnitude / -16; Q5_1: m = minimum,
// d = (maximum - minimum) / 31. The codes use d and m before they are rounded to fp16.
namespace assay::precision {

void unpack_q5_0(const std::byte* block, BlockCodes& out);
void unpack_q5_1(const std::byte* block, BlockCodes& out);
void encode_q5_0(std::span<const float> block, std::byte* out);
void encode_q5_1(std::span<const float> block, std::byte* out);

inline constexpr BlockForm kQ5_0Form = {32, 22,         5, nullptr, 16, 32, BlockScales::single,
                                        0,  unpack_q5_0};
inline constexpr BlockForm kQ5_1Form = {
    32, 24, 5, nullptr, 0, 32, BlockScales::with_minimum, 0, unpack_q5_1};

inline constexpr EncodingInfo kQ5_0Info =
    block_info<Encoding::q5_0, encode_q5_0>("q5_0", kQ5_0Form);
inline constexpr EncodingInfo kQ5_1Info =
    block_info<Encoding::q5_1, encode_q5_1>("q5_1", kQ5_1Form);

}  // namespace assay::precision
