#include "precision/encodings/q5.h"

#include <cmath>

#include "precision/constants.h"

namespace assay::precision {
namespace {

constexpr std::size_t kQ5Block = kGgufBlock;
using Codes = std::array<int, kQ5Block>;

void unpack_codes(const std::byte* from, BlockCodes& out) {
  const auto high = load<std::uint32_t>(from);
  split_nibbles(from + 4, out.codes.data());
  for (std::size_t j = 0; j < kQ5Block; ++j) {
    out.codes[j] |= static_cast<std::uint8_t>((high >> j & 1U) << 4U);
  }
}

void pack_codes(const Codes& codes, std::byte* out) {
  std::uint32_t high = 0;
  for (std::size_t j = 0; j < kQ5Block; ++j) {
    high |= static_cast<std::uint32_t>(codes[j] >> 4) << j;
  }
  store(out, high);
  for (std::size_t j = 0; j < kQ5Block / 2; ++j) {
    out[4 + j] = static_cast<std::byte>((codes[j] & 0xf) | (codes[j + kQ5Block / 2] & 0xf) << 4);
  }
}

}  // namespace

void unpack_q5_0(const std::byte* block, BlockCodes& out) {
  out.numbers[0] = load<std::uint16_t>(block);
  unpack_codes(block + 2, out);
}

void unpack_q5_1(const std::byte* block, BlockCodes& out) {
  out.numbers = {load<std::uint16_t>(block), load<std::uint16_t>(block + 2)};
  unpack_codes(block + 4, out);
}

void encode_q5_0(std::span<const float> block, std::byte* out) {
  (void)finite_absmax(block);
  const float largest = *std::max_element(
      block.begin(), block.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float d = largest / -16.0F;
  const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
  Codes codes;
  for (std::size_t j = 0; j < kQ5Block; ++j) {
    // Never negative, so cutting after the addition is what ggml does; floor says so.
    codes[j] = std::clamp(static_cast<int>(std::floor(block[j] * inverse + 16.5F)), 0, 31);
  }
  store(out, finite_half(d));
  pack_codes(codes, out + 2);
}

void encode_q5_1(std::span<const float> block, std::byte* out) {
  (void)finite_absmax(block);
  const auto [low, high] = std::minmax_element(block.begin(), block.end());
  const float m = *low;
  const float d = (*high - m) / 31.0F;
  const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
  Codes codes;
  for (std::size_t j = 0; j < kQ5Block; ++j) {
    codes[j] = std::clamp(static_cast<int>(std::floor((block[j] - m) * inverse + 0.5F)), 0, 31);
  }
  store(out, finite_half(d));
  store(out + 2, finite_half(m));
  pack_codes(codes, out + 4);
}

}  // namespace assay::precision
