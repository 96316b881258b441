#include "precision/encodings/q4_0.h"

#include <cmath>

#include "precision/constants.h"

namespace assay::precision {
namespace {

constexpr auto kQ4_0Block = static_cast<std::size_t>(kGgufBlock);

void encode_q4_0(std::span<const float> block, std::byte* out) {
  const float absmax = finite_absmax(block);
  const float extreme =
      *std::find_if(block.begin(), block.end(), [&](float v) { return std::fabs(v) == absmax; });
  const float d = extreme / -8.0F;
  const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
  const auto code = [&](float v) { return std::min(15, static_cast<int>(v * inverse + 8.5F)); };
  store(out, finite_half(d));
  for (std::size_t j = 0; j < kQ4_0Block / 2; ++j) {
    out[2 + j] = static_cast<std::byte>(code(block[j]) | (code(block[j + kQ4_0Block / 2]) << 4));
  }
}

}  // namespace

std::int64_t q4_0_code_bytes(std::int64_t rows, std::int64_t cols) {
  return block_code_bytes(rows, cols, kGgufBlock, kQ4_0BlockBytes);
}

void encode_q4_0(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                 std::span<std::byte> codes, std::span<float> /*scales*/) {
  std::byte* out = codes.data() + first / kGgufBlock * kQ4_0BlockBytes;
  for (std::size_t at = 0; at < values.size(); at += kQ4_0Block, out += kQ4_0BlockBytes) {
    encode_q4_0(values.subspan(at, kQ4_0Block), out);
  }
}

void decode_q4_0(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in = tensor.codes.bytes.data() + r * tensor.cols / kGgufBlock * kQ4_0BlockBytes;
  for (std::size_t at = 0; at < out.size(); at += kQ4_0Block, in += kQ4_0BlockBytes) {
    const auto d = static_cast<float>(load<tensor::Float16>(in));
    for (std::size_t j = 0; j < kQ4_0Block / 2; ++j) {
      const auto pair = static_cast<int>(in[2 + j]);
      out[at + j] = d * static_cast<float>((pair & 0xf) - 8);
      out[at + j + kQ4_0Block / 2] = d * static_cast<float>((pair >> 4) - 8);
    }
  }
}

}  // namespace assay::precision
