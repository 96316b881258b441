#include "precision/encodings/iq4.h"

namespace assay::precision {

void unpack_iq4_nl(const std::byte* block, BlockCodes& out) {
  out.numbers[0] = load<std::uint16_t>(block);
  split_nibbles(block + 2, out.codes.data());
}

void unpack_iq4_xs(const std::byte* block, BlockCodes& out) {
  out.numbers[0] = load<std::uint16_t>(block);
  const std::uint32_t high = load<std::uint16_t>(block + 2);
  const auto low = load<std::uint32_t>(block + 4);
  for (std::size_t g = 0; g < 8; ++g) {
    const std::uint32_t scale = (low >> (4 * g) & 0xfU) | (high >> (2 * g) & 3U) << 4U;
    out.scales[g] = static_cast<std::int8_t>(static_cast<int>(scale) - 32);
    split_nibbles(block + 8 + 16 * g, out.codes.data() + 32 * g);
  }
}

}  // namespace assay::precision
