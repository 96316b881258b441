#include "precision/encodings/four_bit.h"

#include "precision/constants.h"

namespace assay::precision {
namespace {

constexpr auto kFourBit = static_cast<std::size_t>(kFourBitBlock);

/// Codes of one block of scaled weights. The comparisons are summed without a branch, 15 passes
/// over the block, so that the compiler vectorizes them.
void encode_block(const FourBitTable& table, const std::array<float, kFourBit>& scaled,
                  std::size_t count, std::byte* out) {
  std::array<std::int32_t, kFourBit> rank{};
  for (const float bound : table.bounds) {
    for (std::size_t i = 0; i < kFourBit; ++i) rank[i] += scaled[i] > bound ? 1 : 0;
  }
  const auto code = [&](std::size_t i) { return table.order[static_cast<std::size_t>(rank[i])]; };
  for (std::size_t i = 0; i < count; i += 2) {
    // A code beyond `count` is that of the zero that fills the block.
    out[i / 2] = static_cast<std::byte>((code(i) << 4) | code(i + 1));
  }
}

}  // namespace

std::int64_t four_bit_code_bytes(std::int64_t rows, std::int64_t cols) {
  return (checked_elements(rows, cols) + 1) / 2;
}

std::int64_t four_bit_scale_count(std::int64_t rows, std::int64_t cols) {
  return (checked_elements(rows, cols) + kFourBitBlock - 1) / kFourBitBlock;
}

void encode_four_bit(const FourBitTable& table, std::span<const float> values, std::int64_t first,
                     std::span<std::byte> codes, std::span<float> scales) {
  constexpr float kSmallest = 1e-38F;
  std::array<float, kFourBit> scaled{};
  for (std::size_t at = 0; at < values.size(); at += kFourBit) {
    const auto block = values.subspan(at, std::min(kFourBit, values.size() - at));
    const bool partial = block.size() < kFourBit;
    float absmax = finite_absmax(block);
    if (partial) {
      absmax = std::max(absmax, kSmallest);
      scaled.fill(0.0F);
      for (std::size_t i = 0; i < block.size(); ++i) scaled[i] = block[i] / absmax;
    } else {
      const float reciprocal = 1.0F / std::max(absmax, kSmallest);
      for (std::size_t i = 0; i < kFourBit; ++i) scaled[i] = block[i] * reciprocal;
    }
    const auto start = static_cast<std::size_t>(first) + at;
    scales[start / kFourBit] = absmax;
    encode_block(table, scaled, block.size(), codes.data() + start / 2);
  }
}

float block_scale(const EncodedTensor& tensor, std::int64_t block) {
  const auto b = static_cast<std::size_t>(block);
  if (tensor.nested == nullptr) return tensor.scales[b];
  const DoubleQuant& nested = *tensor.nested;
  return kSignedDynamicMap[nested.codes[b]] * nested.absmax[b / kNestedBlock] + nested.offset;
}

void decode_four_bit(const FourBitTable& table, const EncodedTensor& tensor, std::int64_t r,
                     std::span<float> out) {
  const std::int64_t begin = r * tensor.cols;
  const std::int64_t end = begin + static_cast<std::int64_t>(out.size());
  const std::byte* codes = tensor.codes.bytes.data();
  for (std::int64_t i = begin; i < end;) {
    const float scale = block_scale(tensor, i / kFourBitBlock);
    const std::int64_t stop = std::min(end, (i / kFourBitBlock + 1) * kFourBitBlock);
    for (; i < stop; ++i) {
      const auto pair = static_cast<std::uint8_t>(codes[i / 2]);
      const std::uint8_t code = (i % 2 == 0) ? pair >> 4 : pair & 0xfU;
      out[static_cast<std::size_t>(i - begin)] = table.values[code] * scale;
    }
  }
}

}  // namespace assay::precision
