#include "precision/encodings/fp8_e4m3.h"

#include <cmath>
#include <limits>

#include "precision/constants.h"

namespace assay::precision {

float fp8_e4m3_value(std::uint8_t code) {
  if ((code & 0x7fU) == 0x7fU) return std::numeric_limits<float>::quiet_NaN();
  // The same bits one place lower in fp16 have a bias of 15 in place of 7: 2^8 too small.
  tensor::Float16 half;
  half.bits = static_cast<std::uint16_t>(((code & 0x80U) << 8) | ((code & 0x7fU) << 7));
  return static_cast<float>(half) * 256.0F;
}

std::int64_t fp8_code_bytes(std::int64_t rows, std::int64_t cols) {
  return checked_elements(rows, cols);
}

std::uint8_t fp8_e4m3_code(float value) {
  constexpr float kSmallestNormal = 0x1p-6F;
  const float magnitude = std::min(std::abs(value), kFp8Largest);
  auto bits = std::bit_cast<std::uint32_t>(magnitude);
  const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? 0x80U : 0U);
  if (magnitude < kSmallestNormal) {  // steps of 2^-9
    return sign | static_cast<std::uint8_t>(std::lrintf(magnitude * 0x1p9F));
  }
  bits += 0x7ffffU + ((bits >> 20U) & 1U);  // 20 bits of f32's mantissa are dropped
  return sign | static_cast<std::uint8_t>((bits >> 20U) - ((127U - 7U) << 3U));
}

std::int64_t fp8_scale_count(std::int64_t rows, std::int64_t /*cols*/) { return rows; }

void encode_fp8_e4m3(std::span<const float> values, std::int64_t first, std::int64_t cols,
                     std::span<std::byte> codes, std::span<float> scales) {
  if (cols == 0) return;
  const auto width = static_cast<std::size_t>(cols);
  for (std::size_t at = 0; at < values.size(); at += width) {
    const auto row = values.subspan(at, width);
    const float scale = finite_absmax(row) / kFp8Largest;
    const auto start = static_cast<std::size_t>(first) + at;
    scales[start / width] = scale;
    for (std::size_t c = 0; c < width; ++c) {
      const float scaled = scale > 0.0F ? row[c] / scale : 0.0F;
      codes[start + c] = static_cast<std::byte>(fp8_e4m3_code(scaled));
    }
  }
}

void decode_fp8_e4m3(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in = tensor.codes.bytes.data() + r * tensor.cols;
  const float scale = tensor.scales[static_cast<std::size_t>(r)];
  for (std::size_t c = 0; c < out.size(); ++c) {
    out[c] = fp8_e4m3_value(static_cast<std::uint8_t>(in[c])) * scale;
  }
}

}  // namespace assay::precision
