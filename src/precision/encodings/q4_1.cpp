#include "precision/encodings/q4_1.h"

#include <cmath>

#include "precision/constants.h"

namespace assay::precision {
namespace {

constexpr auto kQ4_1Block = static_cast<std::size_t>(kGgufBlock);

void encode_q4_1(std::span<const float> block, std::byte* out) {
  (void)finite_absmax(block);
  const auto [low, high] = std::minmax_element(block.begin(), block.end());
  const float m = *low;
  const float d = (*high - m) / 15.0F;
  const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
  const auto code = [&](float v) {
    // Never negative, so cutting after the addition is what ggml does; floor says so.
    return std::min(15, static_cast<int>(std::floor((v - m) * inverse + 0.5F)));
  };
  store(out, finite_half(d));
  store(out + 2, finite_half(m));
  for (std::size_t j = 0; j < kQ4_1Block / 2; ++j) {
    out[4 + j] = static_cast<std::byte>(code(block[j]) | (code(block[j + kQ4_1Block / 2]) << 4));
  }
}

}  // namespace

std::int64_t q4_1_code_bytes(std::int64_t rows, std::int64_t cols) {
  return block_code_bytes(rows, cols, kGgufBlock, kQ4_1BlockBytes);
}

void encode_q4_1(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                 std::span<std::byte> codes, std::span<float> /*scales*/) {
  std::byte* out = codes.data() + first / kGgufBlock * kQ4_1BlockBytes;
  for (std::size_t at = 0; at < values.size(); at += kQ4_1Block, out += kQ4_1BlockBytes) {
    encode_q4_1(values.subspan(at, kQ4_1Block), out);
  }
}

void decode_q4_1(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in = tensor.codes.bytes.data() + r * tensor.cols / kGgufBlock * kQ4_1BlockBytes;
  for (std::size_t at = 0; at < out.size(); at += kQ4_1Block, in += kQ4_1BlockBytes) {
    const auto d = static_cast<float>(load<tensor::Float16>(in));
    const auto m = static_cast<float>(load<tensor::Float16>(in + 2));
    for (std::size_t j = 0; j < kQ4_1Block / 2; ++j) {
      const auto pair = static_cast<int>(in[4 + j]);
      out[at + j] = d * static_cast<float>(pair & 0xf) + m;
      out[at + j + kQ4_1Block / 2] = d * static_cast<float>(pair >> 4) + m;
    }
  }
}

}  // namespace assay::precision
