#pragma once

#include "precision/encodings/blocks.h"

// MXFP4 (OCP Microscaling Formats 1.0): e2m1 codes in blocks of 32 weights of one row that share a
// power of two. Layout, as GGUF has it: 17 bytes, the e8m0 exponent, then 16 bytes with weight j in
// the low and weight j + 16 in the high nibble. A code q stands for value(q) * 2^(exponent - 127).
// Encoding: exponent = floor(log2(absmax)) - 2 + 127, 0 if that is below or the block is zero; the
// nearest value, of two that are as near the one with the smaller magnitude.
namespace assay::precision {

/// Sign, two bits of exponent and one of mantissa, by bit pattern; no negative zero, which GGUF's
/// tools do not have either.
inline constexpr std::array<float, 16> kE2m1Values = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,
                                                      4.0F,  6.0F,  0.0F,  -0.5F, -1.0F, -1.5F,
                                                      -2.0F, -3.0F, -4.0F, -6.0F};

void unpack_mxfp4(const std::byte* block, BlockCodes& out);
void encode_mxfp4(std::span<const float> block, std::byte* out);

inline constexpr BlockForm kMxfp4Form = {
    32, 17, 4, &kE2m1Values, 0, 32, BlockScales::power_of_two, 0, unpack_mxfp4};

inline constexpr EncodingInfo kMxfp4Info =
    block_info<Encoding::mxfp4, encode_mxfp4>("mxfp4", kMxfp4Form);

}  // namespace assay::precision
