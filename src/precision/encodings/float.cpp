#include "precision/encodings/float.h"

#include <cmath>

namespace assay::precision {

std::int64_t f32_code_bytes(std::int64_t rows, std::int64_t cols) {
  return checked_elements(rows, cols) * 4;
}

std::int64_t half_code_bytes(std::int64_t rows, std::int64_t cols) {
  return checked_elements(rows, cols) * 2;
}

template <typename T>
void encode_float(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                  std::span<std::byte> codes, std::span<float> /*scales*/) {
  std::byte* out = codes.data() + first * static_cast<std::int64_t>(sizeof(T));
  bool finite = true;
  for (const float v : values) {
    const auto value = static_cast<T>(v);
    finite = finite && std::isfinite(tensor::to_float(value));
    store(out, value);
    out += sizeof(T);
  }
  if (finite) return;
  (void)finite_absmax(values);
  fail(ErrorCode::numeric, "a weight is too large for {}", tensor::name_of(tensor::kDTypeOf<T>));
}

template <typename T>
void decode_float(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* in =
      tensor.codes.bytes.data() + r * tensor.cols * static_cast<std::int64_t>(sizeof(T));
  for (float& v : out) {
    v = tensor::to_float(load<T>(in));
    in += sizeof(T);
  }
}

template void encode_float<float>(std::span<const float>, std::int64_t, std::int64_t,
                                  std::span<std::byte>, std::span<float>);
template void encode_float<tensor::Float16>(std::span<const float>, std::int64_t, std::int64_t,
                                            std::span<std::byte>, std::span<float>);
template void encode_float<tensor::BFloat16>(std::span<const float>, std::int64_t, std::int64_t,
                                             std::span<std::byte>, std::span<float>);
template void decode_float<float>(const EncodedTensor&, std::int64_t, std::span<float>);
template void decode_float<tensor::Float16>(const EncodedTensor&, std::int64_t, std::span<float>);
template void decode_float<tensor::BFloat16>(const EncodedTensor&, std::int64_t, std::span<float>);

}  // namespace assay::precision
