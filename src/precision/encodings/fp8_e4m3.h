#pragma once

#include "precision/encodings/common.h"

// fp8 E4M3 (OCP, "e4m3fn"): one sign, four exponent bits with bias 7, three mantissa bits; no
// infinity, NaN is 0x7f and 0xff. One byte a weight, row-major; scales[r] = factor of row r (a
// scale of the whole tensor is repeated). A code stands for value * scale, in f32. Encoded here:
// the scale is the row's absmax / 448, a code the nearest to weight / scale, ties to even, all in
// f32.
namespace assay::precision {

/// Value of a code before its scale; NaN for 0x7f and 0xff.
[[nodiscard]] float fp8_e4m3_value(std::uint8_t code);

/// The nearest code, ties to even; beyond 448 that of 448.
[[nodiscard]] std::uint8_t fp8_e4m3_code(float value);

[[nodiscard]] std::int64_t fp8_code_bytes(std::int64_t rows, std::int64_t cols);
[[nodiscard]] std::int64_t fp8_scale_count(std::int64_t rows, std::int64_t cols);
void encode_fp8_e4m3(std::span<const float> values, std::int64_t first, std::int64_t cols,
                     std::span<std::byte> codes, std::span<float> scales);
void decode_fp8_e4m3(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);

inline constexpr EncodingInfo kFp8E4m3Info = {Encoding::fp8_e4m3,
                                              "fp8_e4m3",
                                              0,
                                              8.0,
                                              true,
                                              true,
                                              fp8_code_bytes,
                                              encode_as<Encoding::fp8_e4m3>,
                                              decode_fp8_e4m3,
                                              encode_fp8_e4m3,
                                              fp8_scale_count};

}  // namespace assay::precision
