#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "precision/encodings/common.h"

// Encodings whose rows are blocks of codes with block scales, as GGUF's: an encoding is a way to
// take one stored block apart, and a row of numbers that says what the parts mean. Decoding is the
// same for all of them, here and in the kernels.
namespace assay::precision {

inline constexpr std::int64_t kLargestBlock = 256;
inline constexpr std::int64_t kSmallestGroup = 16;

/// One stored block, taken apart.
struct BlockCodes {
  std::array<std::uint8_t, kLargestBlock> codes;                   ///< below 2^bits
  std::array<std::int8_t, kLargestBlock / kSmallestGroup> scales;  ///< of groups
  std::array<std::int8_t, kLargestBlock / kSmallestGroup> minima;  ///< of groups
  std::array<std::uint16_t, 2> numbers;  ///< bits of the block's fp16 numbers d and m
  std::uint8_t exponent;
};

/// What scales a code of group g. A weight is value(code) * scale + minimum, where the product is
/// exact in f32 for every encoding here: a fused multiplication gives the same bits.
enum class BlockScales : std::uint8_t {
  single,          ///< d; no minimum
  with_minimum,    ///< d; minimum m
  groups,          ///< d * scales[g]; no minimum
  groups_minima,   ///< d * scales[g]; minimum -(m * minima[g])
  nibbles_minima,  ///< as groups_minima, scales and minima below 16
  power_of_two     ///< 2^(exponent - 127), e8m0; no minimum
};

struct BlockForm {
  int block;  ///< weights
  int bytes;  ///< as stored
  int bits;   ///< of a code: 2, 3, 4, 5 or 6
  /// Values of the codes of 4 bits; nullptr: code - offset.
  const std::array<float, 16>* table;
  int offset;
  int group;  ///< weights that share a scale: 16 or 32
  BlockScales scales;
  int number_at;  ///< byte of the block where its fp16 numbers stand
  void (*unpack)(const std::byte* block, BlockCodes& out);

  [[nodiscard]] constexpr int groups() const { return block / group; }
  /// fp16 numbers of a block.
  [[nodiscard]] constexpr int numbers() const {
    if (scales == BlockScales::power_of_two) return 0;
    return has_minima() ? 2 : 1;
  }
  [[nodiscard]] constexpr bool has_minima() const {
    return scales == BlockScales::with_minimum || scales == BlockScales::groups_minima ||
           scales == BlockScales::nibbles_minima;
  }
  [[nodiscard]] constexpr bool has_groups() const {
    return scales == BlockScales::groups || scales == BlockScales::groups_minima ||
           scales == BlockScales::nibbles_minima;
  }
};

/// The codes 0 to 15 as values.
inline constexpr std::array<float, 16> kNibbleValues = {0.0F,  1.0F,  2.0F,  3.0F, 4.0F,  5.0F,
                                                        6.0F,  7.0F,  8.0F,  9.0F, 10.0F, 11.0F,
                                                        12.0F, 13.0F, 14.0F, 15.0F};

/// Value of an e8m0 exponent: 2^(e - 127). 255 is NaN in the format's definition and 2^128 in every
/// program that writes or reads it: infinite here too.
[[nodiscard]] constexpr float power_of_two(std::uint8_t exponent) {
  return std::bit_cast<float>(exponent == 0 ? std::uint32_t{0x00400000}
                                            : static_cast<std::uint32_t>(exponent) << 23U);
}

/// Scale and minimum of group g; those of a block without groups for any g.
struct GroupScale {
  float scale;
  float minimum;
};
[[nodiscard]] GroupScale group_scale(const BlockForm& form, const BlockCodes& codes, int g);

/// The value that a code stands for, before scale and minimum.
[[nodiscard]] inline float code_value(const BlockForm& form, std::uint8_t code) {
  return form.table != nullptr ? (*form.table)[code] : static_cast<float>(code - form.offset);
}

/// EncodingInfo::decode_row and ::code_bytes of an encoding with info(e).blocks.
void decode_blocks(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);
template <Encoding E>
[[nodiscard]] std::int64_t blocks_code_bytes(std::int64_t rows, std::int64_t cols) {
  const BlockForm& form = *info(E).blocks;
  return block_code_bytes(rows, cols, form.block, form.bytes);
}

/// The registry's row of an encoding that is only read.
template <Encoding E>
constexpr EncodingInfo block_info(std::string_view name, const BlockForm& form) {
  return {.id = E,
          .name = name,
          .block = form.block,
          .bits_per_weight = 8.0 * form.bytes / form.block,
          .quantized = true,
          .row_aligned = true,
          .code_bytes = blocks_code_bytes<E>,
          .encode = nullptr,
          .decode_row = decode_blocks,
          .encode_range = nullptr,
          .scale_count = no_scales,
          .blocks = &form};
}

/// The same with an encoder of blocks of 32 weights.
template <Encoding E, void (*EncodeBlock)(std::span<const float> block, std::byte* out)>
void encode_blocks(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                   std::span<std::byte> codes, std::span<float> /*scales*/) {
  const BlockForm& form = *info(E).blocks;
  const auto block = static_cast<std::size_t>(form.block);
  std::byte* out = codes.data() + first / form.block * form.bytes;
  for (std::size_t at = 0; at < values.size(); at += block, out += form.bytes) {
    EncodeBlock(values.subspan(at, block), out);
  }
}
template <Encoding E, void (*EncodeBlock)(std::span<const float> block, std::byte* out)>
constexpr EncodingInfo block_info(std::string_view name, const BlockForm& form) {
  EncodingInfo row = block_info<E>(name, form);
  row.encode = encode_as<E>;
  row.encode_range = encode_blocks<E, EncodeBlock>;
  return row;
}

/// Codes from 16 bytes: weight j in the low and weight j + 16 in the high nibble.
inline void split_nibbles(const std::byte* from, std::uint8_t* codes) {
  for (int j = 0; j < 16; ++j) {
    codes[j] = static_cast<std::uint8_t>(from[j]) & 0xfU;
    codes[j + 16] = static_cast<std::uint8_t>(from[j]) >> 4U;
  }
}

}  // namespace assay::precision
