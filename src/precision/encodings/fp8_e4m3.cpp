#include "precision/encodings/fp8_e4m3.h"

#include <limits>

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

void decode_fp8_e4m3(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in = tensor.codes.bytes.data() + r * tensor.cols;
  const float scale = tensor.scales[static_cast<std::size_t>(r)];
  for (std::size_t c = 0; c < out.size(); ++c) {
    out[c] = fp8_e4m3_value(static_cast<std::uint8_t>(in[c])) * scale;
  }
}

}  // namespace assay::precision
