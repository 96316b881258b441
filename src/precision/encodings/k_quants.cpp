#include "precision/encodings/k_quants.h"

namespace assay::precision {
namespace {

constexpr std::size_t kSuperBlock = kLargestBlock;

std::uint32_t byte_at(const std::byte* from, std::size_t i) {
  return static_cast<std::uint32_t>(from[i]);
}

/// Pairs of bits: byte j of each 32 holds weights j, j + 32, j + 64, j + 96 of 128.
std::uint32_t pair_of(const std::byte* from, std::size_t i) {
  return byte_at(from, i / 128 * 32 + i % 32) >> (2 * (i % 128 / 32)) & 3U;
}

/// Single bits: byte j of 32 holds weights j, j + 32, ..., j + 224.
std::uint32_t bit_of(const std::byte* from, std::size_t i) {
  return byte_at(from, i % 32) >> (i / 32) & 1U;
}

/// Nibbles: byte j of each `width` holds weights j and j + width of twice as many.
std::uint32_t nibble_of(const std::byte* from, std::size_t i, std::size_t width) {
  const std::size_t pair = 2 * width;
  return byte_at(from, i / pair * width + i % width) >> (4 * (i % pair / width)) & 0xfU;
}

template <typename Code>
void fill_codes(BlockCodes& out, const Code& code) {
  for (std::size_t i = 0; i < kSuperBlock; ++i) out.codes[i] = static_cast<std::uint8_t>(code(i));
}

/// Scales and minima of Q4_K and Q5_K: eight of each with 6 bits in 12 bytes. The first four have
/// the low six bits of bytes 0 to 3 (minima: 4 to 7). Those after them have the nibbles of bytes 8
/// to 11 and, above, the two bits that are left in bytes 0 to 7.
void unpack_scales(const std::byte* from, BlockCodes& out) {
  for (std::size_t g = 0; g < 4; ++g) {
    const std::uint32_t scale = byte_at(from, g);
    const std::uint32_t minimum = byte_at(from, g + 4);
    const std::uint32_t both = byte_at(from, g + 8);
    out.scales[g] = static_cast<std::int8_t>(scale & 0x3fU);
    out.minima[g] = static_cast<std::int8_t>(minimum & 0x3fU);
    out.scales[g + 4] = static_cast<std::int8_t>((both & 0xfU) | (scale >> 6U << 4U));
    out.minima[g + 4] = static_cast<std::int8_t>(both >> 4U | (minimum >> 6U << 4U));
  }
}

/// Scales of Q3_K: 16 of 6 bits less 32. Nibbles of bytes 0 to 7, the low ones first; then pairs
/// of bits of bytes 8 to 11, the lowest first.
void unpack_signed_scales(const std::byte* from, BlockCodes& out) {
  for (std::size_t g = 0; g < 16; ++g) {
    const std::uint32_t low = byte_at(from, g % 8) >> (4 * (g / 8)) & 0xfU;
    const std::uint32_t high = byte_at(from, 8 + g % 4) >> (2 * (g / 4)) & 3U;
    out.scales[g] = static_cast<std::int8_t>(static_cast<int>(low | high << 4U) - 32);
  }
}

}  // namespace

void unpack_q2_k(const std::byte* block, BlockCodes& out) {
  for (std::size_t g = 0; g < 16; ++g) {
    out.scales[g] = static_cast<std::int8_t>(byte_at(block, g) & 0xfU);
    out.minima[g] = static_cast<std::int8_t>(byte_at(block, g) >> 4U);
  }
  fill_codes(out, [&](std::size_t i) { return pair_of(block + 16, i); });
  out.numbers = {load<std::uint16_t>(block + 80), load<std::uint16_t>(block + 82)};
}

void unpack_q3_k(const std::byte* block, BlockCodes& out) {
  fill_codes(out, [&](std::size_t i) { return pair_of(block + 32, i) | bit_of(block, i) << 2U; });
  unpack_signed_scales(block + 96, out);
  out.numbers[0] = load<std::uint16_t>(block + 108);
}

void unpack_q4_k(const std::byte* block, BlockCodes& out) {
  out.numbers = {load<std::uint16_t>(block), load<std::uint16_t>(block + 2)};
  unpack_scales(block + 4, out);
  fill_codes(out, [&](std::size_t i) { return nibble_of(block + 16, i, 32); });
}

void unpack_q5_k(const std::byte* block, BlockCodes& out) {
  out.numbers = {load<std::uint16_t>(block), load<std::uint16_t>(block + 2)};
  unpack_scales(block + 4, out);
  fill_codes(out, [&](std::size_t i) {
    return nibble_of(block + 48, i, 32) | bit_of(block + 16, i) << 4U;
  });
}

void unpack_q6_k(const std::byte* block, BlockCodes& out) {
  fill_codes(
      out, [&](std::size_t i) { return nibble_of(block, i, 64) | pair_of(block + 128, i) << 4U; });
  for (std::size_t g = 0; g < 16; ++g) out.scales[g] = static_cast<std::int8_t>(block[192 + g]);
  out.numbers[0] = load<std::uint16_t>(block + 208);
}

}  // namespace assay::precision
