#pragma once

#include "precision/encodings/blocks.h"

// GGUF's K encodings: blocks of 256 weights of one row, in groups that have small integers for
// scales. Byte by byte:
//   Q2_K  84: 16 scales (low nibble) with minima (high nibble), 64 of codes, fp16 d, fp16 m.
//             Groups of 16; q stands for d * scale * q - m * minimum.
//   Q3_K 110: 32 of high bits, 64 of low pairs of bits, 12 of scales of 6 bits, fp16 d.
//             Groups of 16; q stands for d * (scale - 32) * (q - 4).
//   Q4_K 144: fp16 d, fp16 m, 12 of scales and minima of 6 bits, 128 of codes.
//             Groups of 32; as Q2_K.
//   Q5_K 176: as Q4_K with 32 of high bits before the codes.
//   Q6_K 210: 128 of low nibbles, 64 of high pairs of bits, 16 signed scales, fp16 d.
//             Groups of 16; q stands for d * scale * (q - 32).
// Where the bits lie: two bits, byte j of 32 holds weights j, j + 32, j + 64, j + 96 of 128, the
// first lowest; nibbles of Q4_K and Q5_K, byte j of 32 holds weights j and j + 32 of 64; high bits,
// byte j of 32 holds bits of weights j, j + 32, ..., j + 224; nibbles of Q6_K, byte j of 64 holds
// weights j and j + 64 of 128. These encodings are only read: their writers search for scales.
namespace assay::precision {

void unpack_q2_k(const std::byte* block, BlockCodes& out);
void unpack_q3_k(const std::byte* block, BlockCodes& out);
void unpack_q4_k(const std::byte* block, BlockCodes& out);
void unpack_q5_k(const std::byte* block, BlockCodes& out);
void unpack_q6_k(const std::byte* block, BlockCodes& out);

inline constexpr BlockForm kQ2_KForm = {
    256, 84, 2, nullptr, 0, 16, BlockScales::nibbles_minima, 80, unpack_q2_k};
inline constexpr BlockForm kQ3_KForm = {256, 110,        3, nullptr, 4, 16, BlockScales::groups,
                                        108, unpack_q3_k};
inline constexpr BlockForm kQ4_KForm = {
    256, 144, 4, &kNibbleValues, 0, 32, BlockScales::groups_minima, 0, unpack_q4_k};
inline constexpr BlockForm kQ5_KForm = {
    256, 176, 5, nullptr, 0, 32, BlockScales::groups_minima, 0, unpack_q5_k};
inline constexpr BlockForm kQ6_KForm = {256, 210,        6, nullptr, 32, 16, BlockScales::groups,
                                        208, unpack_q6_k};

inline constexpr EncodingInfo kQ2_KInfo = block_info<Encoding::q2_k>("q2_k", kQ2_KForm);
inline constexpr EncodingInfo kQ3_KInfo = block_info<Encoding::q3_k>("q3_k", kQ3_KForm);
inline constexpr EncodingInfo kQ4_KInfo = block_info<Encoding::q4_k>("q4_k", kQ4_KForm);
inline constexpr EncodingInfo kQ5_KInfo = block_info<Encoding::q5_k>("q5_k", kQ5_KForm);
inline constexpr EncodingInfo kQ6_KInfo = block_info<Encoding::q6_k>("q6_k", kQ6_KForm);

}  // namespace assay::precision
