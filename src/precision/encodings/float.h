#pragma once

#include "precision/encodings/common.h"

// f32, f16, bf16: row-major, little-endian, no scales. Encoding rounds to nearest even; a value
// that becomes infinite by it is a numeric error.
namespace assay::precision {

[[nodiscard]] std::int64_t f32_code_bytes(std::int64_t rows, std::int64_t cols);
[[nodiscard]] std::int64_t half_code_bytes(std::int64_t rows, std::int64_t cols);
template <typename T>
void encode_float(std::span<const float> values, std::int64_t first, std::int64_t cols,
                  std::span<std::byte> codes, std::span<float> scales);
template <typename T>
void decode_float(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kF32Info = {Encoding::f32,
                                          "f32",
                                          1,
                                          32.0,
                                          false,
                                          true,
                                          f32_code_bytes,
                                          encode_as<Encoding::f32>,
                                          decode_float<float>,
                                          encode_float<float>,
                                          no_scales};
inline constexpr EncodingInfo kF16Info = {Encoding::f16,
                                          "f16",
                                          1,
                                          16.0,
                                          false,
                                          true,
                                          half_code_bytes,
                                          encode_as<Encoding::f16>,
                                          decode_float<tensor::Float16>,
                                          encode_float<tensor::Float16>,
                                          no_scales};
inline constexpr EncodingInfo kBf16Info = {Encoding::bf16,
                                           "bf16",
                                           1,
                                           16.0,
                                           false,
                                           true,
                                           half_code_bytes,
                                           encode_as<Encoding::bf16>,
                                           decode_float<tensor::BFloat16>,
                                           encode_float<tensor::BFloat16>,
                                           no_scales};

}  // namespace assay::precision
