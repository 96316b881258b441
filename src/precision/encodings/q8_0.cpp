#include "precision/encodings/q8_0.h"

#include <cmath>

#include "precision/constants.h"

namespace assay::precision {
namespace {

constexpr auto kQ8_0Block = static_cast<std::size_t>(kGgufBlock);

void encode_q8_0(std::span<const float> block, std::byte* out) {
  const float d = finite_absmax(block) / 127.0F;
  const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
  store(out, finite_half(d));
  for (std::size_t j = 0; j < kQ8_0Block; ++j) {
    const auto code = static_cast<std::int8_t>(std::round(block[j] * inverse));
    out[2 + j] = static_cast<std::byte>(code);
  }
}

}  // namespace

std::int64_t q8_0_code_bytes(std::int64_t rows, std::int64_t cols) {
  return block_code_bytes(rows, cols, kGgufBlock, kQ8_0BlockBytes);
}

void encode_q8_0(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                 std::span<std::byte> codes, std::span<float> /*scales*/) {
  std::byte* out = codes.data() + first / kGgufBlock * kQ8_0BlockBytes;
  for (std::size_t at = 0; at < values.size(); at += kQ8_0Block, out += kQ8_0BlockBytes) {
    encode_q8_0(values.subspan(at, kQ8_0Block), out);
  }
}

void decode_q8_0(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in = tensor.codes.bytes.data() + r * tensor.cols / kGgufBlock * kQ8_0BlockBytes;
  for (std::size_t at = 0; at < out.size(); at += kQ8_0Block, in += kQ8_0BlockBytes) {
    const auto d = static_cast<float>(load<tensor::Float16>(in));
    for (std::size_t j = 0; j < kQ8_0Block; ++j) {
      out[at + j] = static_cast<float>(static_cast<std::int8_t>(in[2 + j])) * d;
    }
  }
}

}  // namespace assay::precision
