#include "precision/encodings/int8.h"

#include <vector>

#include "precision/constants.h"

namespace assay::precision {
namespace {

/// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even, for |x| < 2^22:
/// rint() in a form that every compiler vectorizes.
constexpr float kRoundToInteger = 12582912.0F;

void encode_row(std::span<const float> halves, float absmax, std::byte* out) {
  const float factor = absmax > 0.0F ? 127.0F / absmax : 0.0F;
  for (std::size_t c = 0; c < halves.size(); ++c) {
    const float rounded = (halves[c] * factor + kRoundToInteger) - kRoundToInteger;
    out[c] = static_cast<std::byte>(static_cast<std::int8_t>(static_cast<std::int32_t>(rounded)));
  }
}

}  // namespace

std::int64_t int8_code_bytes(std::int64_t rows, std::int64_t cols) {
  return checked_elements(rows, cols);
}

std::int64_t int8_scale_count(std::int64_t rows, std::int64_t /*cols*/) { return rows; }

void encode_int8(std::span<const float> values, std::int64_t first, std::int64_t cols,
                 std::span<std::byte> codes, std::span<float> scales) {
  if (cols == 0) return;
  const auto width = static_cast<std::size_t>(cols);
  std::vector<float> halves(width);
  for (std::size_t at = 0; at < values.size(); at += width) {
    const auto row = values.subspan(at, width);
    const float unrounded = finite_absmax(row);
    if (tensor::Float16(unrounded).bits >= 0x7c00U) {
      fail(ErrorCode::numeric, "a weight of magnitude {} does not fit fp16, which int8 rounds to",
           unrounded);
    }
    for (std::size_t c = 0; c < width; ++c) halves[c] = tensor::rounded<tensor::Float16>(row[c]);
    const auto start = static_cast<std::size_t>(first) + at;
    const float absmax = finite_absmax(halves);
    scales[start / width] = absmax;
    encode_row(halves, absmax, codes.data() + start);
  }
}

void decode_int8(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in = tensor.codes.bytes.data() + r * tensor.cols;
  const float scale = tensor.scales[static_cast<std::size_t>(r)];
  for (std::size_t c = 0; c < out.size(); ++c) {
    out[c] = static_cast<float>(static_cast<std::int8_t>(in[c])) * scale * kInverse127;
  }
}

}  // namespace assay::precision
