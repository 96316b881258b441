#pragma once

#include <cstdint>

// How a weight lies in a PackedWeight: panels of kPanel output columns, one after the other, each
// with its input depth padded to a whole number of units. Inside a panel, unit by unit and column
// by column within a unit:
//   f32, f16   unit 1: one value
//   bf16       unit 2: a pair, the lower depth in the low half of 32 bits
//   8 bit      unit 4: code + 128 (uint8: the code; fp8: its sign flipped), the lowest depth in the
//              lowest byte of 32 bits
//   4 bit      unit 8: codes, the lowest depth in the lowest nibble of 32 bits
//   2, 3, 5, 6 bit: unit 32, of as many words of 32 bits as a code has bits, all columns of a word
//              before the next word. Codes are cut into planes of 4, 2 and 1 bits, the lowest
//              first, each as wide as fits: 5 = 4 + 1, 6 = 4 + 2, 3 = 2 + 1. A plane of p bits
//              takes p words, the lowest depth in the lowest bits of its first word
// The same for every instruction set. Scales, in PackedWeight::scales:
//   int8            f32 absmax of each column
//   nf4, fp4        f32 [block][column] per panel where blocks lie within rows; else the flat list;
//                   nothing when double-quantized: `rest.nested` holds them
//   q4_0, q8_0      f16 d [block][column] per panel
//   int4, uint8     f32 scale [group][column], then a byte zero [group][column] per panel; groups
//                   are those of the stored columns, `rest.groups` has their size and order
//   fp8_e4m3        f32 factor of each column
//   q4_1            f16 d and m [block][d, m][column] per panel
//   others of GGUF  per panel f16 [block][d, m][column], then bytes
//                   [group][scale, minimum][column]; q2_k: both in one byte; mxfp4: exponents
//                   [block][column] in their place
namespace assay::kernels::cpu {

inline constexpr std::int64_t kPanel = 32;

[[nodiscard]] constexpr std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}
[[nodiscard]] constexpr std::int64_t panel_count(std::int64_t n) {
  return (n + kPanel - 1) / kPanel;
}

inline constexpr std::int64_t kFloatUnit = 1;
inline constexpr std::int64_t kBf16Unit = 2;
inline constexpr std::int64_t kByteUnit = 4;
inline constexpr std::int64_t kNibbleUnit = 8;
inline constexpr std::int64_t kPlaneUnit = 32;

/// Groups of int4 and uint8 are of a multiple of this many columns, and so is the depth.
inline constexpr std::int64_t kGroupUnit = 32;

/// What an 8-bit code is stored with, so that it is unsigned.
inline constexpr int kByteOffset = 128;

}  // namespace assay::kernels::cpu
