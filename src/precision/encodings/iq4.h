#pragma once

#include "precision/encodings/blocks.h"

// IQ4_NL and IQ4_XS of GGUF: codes of 4 bits into 16 values that are denser around zero.
//   IQ4_NL, 32 weights in 18 bytes: fp16 d, 16 bytes with weight j in the low and j + 16 in the
//   high nibble. A code q stands for values[q] * d.
//   IQ4_XS, 256 weights in 136 bytes: fp16 d, 16 bits with the high pairs of the scales of eight
//   groups (the first lowest), 4 bytes with their low nibbles (likewise), then 128 bytes of codes,
//   16 for each group as in IQ4_NL. q stands for values[q] * d * (scale - 32).
// They are only read: their writers search for scales.
namespace assay::precision {

inline constexpr std::array<float, 16> kIq4Values = {
    -127.0F, -104.0F, -83.0F, -65.0F, -49.0F, -35.0F, -22.0F, -10.0F,
    1.0F,    13.0F,   25.0F,  38.0F,  53.0F,  69.0F,  89.0F,  113.0F};

void unpack_iq4_nl(const std::byte* block, BlockCodes& out);
void unpack_iq4_xs(const std::byte* block, BlockCodes& out);

inline constexpr BlockForm kIq4NlForm = {
    32, 18, 4, &kIq4Values, 0, 32, BlockScales::single, 0, unpack_iq4_nl};
inline constexpr BlockForm kIq4XsForm = {
    256, 136, 4, &kIq4Values, 0, 32, BlockScales::groups, 0, unpack_iq4_xs};

inline constexpr EncodingInfo kIq4NlInfo = block_info<Encoding::iq4_nl>("iq4_nl", kIq4NlForm);
inline constexpr EncodingInfo kIq4XsInfo = block_info<Encoding::iq4_xs>("iq4_xs", kIq4XsForm);

}  // namespace assay::precision
