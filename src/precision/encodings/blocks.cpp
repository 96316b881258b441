#include "precision/encodings/blocks.h"

namespace assay::precision {
namespace {

float number(std::uint16_t bits) {
  tensor::Float16 half;
  half.bits = bits;
  return static_cast<float>(half);
}

}  // namespace

GroupScale group_scale(const BlockForm& form, const BlockCodes& codes, int g) {
  const auto group = static_cast<std::size_t>(g);
  switch (form.scales) {
    case BlockScales::single:
      return {number(codes.numbers[0]), 0.0F};
    case BlockScales::with_minimum:
      return {number(codes.numbers[0]), number(codes.numbers[1])};
    case BlockScales::groups:
      return {number(codes.numbers[0]) * static_cast<float>(codes.scales[group]), 0.0F};
    case BlockScales::groups_minima:
    case BlockScales::nibbles_minima:
      return {number(codes.numbers[0]) * static_cast<float>(codes.scales[group]),
              -(number(codes.numbers[1]) * static_cast<float>(codes.minima[group]))};
    case BlockScales::power_of_two:
      break;
  }
  return {power_of_two(codes.exponent), 0.0F};
}

void decode_blocks(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const BlockForm& form = *info(tensor.encoding).blocks;
  const std::byte* in = tensor.codes.bytes.data() + r * (tensor.cols / form.block) * form.bytes;
  const auto group = static_cast<std::size_t>(form.group);
  BlockCodes block;
  for (std::size_t at = 0; at < out.size(); in += form.bytes) {
    form.unpack(in, block);
    for (int g = 0; g < form.groups(); ++g, at += group) {
      const GroupScale s = group_scale(form, block, g);
      const std::uint8_t* codes = block.codes.data() + static_cast<std::size_t>(g) * group;
      for (std::size_t j = 0; j < group; ++j) {
        const float value = code_value(form, codes[j]) * s.scale;
        out[at + j] = form.has_minima() ? value + s.minimum : value;
      }
    }
  }
}

}  // namespace assay::precision
