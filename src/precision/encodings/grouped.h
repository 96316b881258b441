#pragma once

#include "precision/encodings/common.h"

// int4 and uint8: unsigned codes in groups along a row, as GPTQ, AWQ and compressed-tensors have
// them once their words are unpacked. A code c of group g in row r stands for
// (c - zeros[r][g]) * scales[r][g], in f32; symmetric weights have the middle code for a zero.
// Codes are row-major over stored columns: int4 two to a byte, the first in the low nibble, every
// row on whole bytes; uint8 one to a byte. The group of stored column j is j / size. With act-order
// the columns are stored sorted by group, and `order` says which column of the weight each is.
// Checkpoints are only read: there is no encoder.
namespace assay::precision {

/// What kernels read: groups, and rows, of a multiple of this many columns.
inline constexpr std::int64_t kGroupUnit = 32;

[[nodiscard]] std::int64_t int4_code_bytes(std::int64_t rows, std::int64_t cols);
[[nodiscard]] std::int64_t uint8_code_bytes(std::int64_t rows, std::int64_t cols);
void decode_int4(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);
void decode_uint8(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kInt4Info = {
    Encoding::int4,  "int4",  0,           4.0,     true,     true,
    int4_code_bytes, nullptr, decode_int4, nullptr, no_scales};
inline constexpr EncodingInfo kUint8Info = {
    Encoding::uint8, "uint8",      0,       8.0,      true, true, uint8_code_bytes,
    nullptr,         decode_uint8, nullptr, no_scales};

}  // namespace assay::precision
