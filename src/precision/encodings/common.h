#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "precision/encoding.h"

// What the encodings share; included by them and by encoding.cpp alone.
namespace assay::precision {

/// rows * cols; bad_data if negative or too large to address.
[[nodiscard]] std::int64_t checked_elements(std::int64_t rows, std::int64_t cols);

/// Code bytes of an encoding whose rows are whole blocks of `block` weights in `bytes` bytes.
[[nodiscard]] std::int64_t block_code_bytes(std::int64_t rows, std::int64_t cols,
                                            std::int64_t block, std::int64_t bytes);

[[nodiscard]] inline std::int64_t no_scales(std::int64_t, std::int64_t) { return 0; }

/// Encodes a whole tensor in one range.
[[nodiscard]] EncodedTensor encode_whole(const EncodingInfo& info, std::span<const float> values,
                                         std::int64_t rows, std::int64_t cols);
template <Encoding E>
EncodedTensor encode_as(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
  return encode_whole(info(E), values, rows, cols);
}

/// Largest magnitude; numeric error if any value is NaN or infinite. Compares bit patterns, in
/// which NaN is above infinity, and infinity above every number.
[[nodiscard]] inline float finite_absmax(std::span<const float> values) {
  std::int32_t largest = 0;
  for (const float v : values) {
    largest = std::max(largest, std::bit_cast<std::int32_t>(v) & 0x7fffffff);
  }
  if (largest >= 0x7f800000) fail(ErrorCode::numeric, "a weight is NaN or infinite");
  return std::bit_cast<float>(largest);
}

/// Rounds to fp16 for a scale; numeric error if the value is too large for it.
[[nodiscard]] inline tensor::Float16 finite_half(float value) {
  const tensor::Float16 half(value);
  if ((half.bits & 0x7c00U) == 0x7c00U) {
    fail(ErrorCode::numeric, "a weight's scale of {} does not fit fp16", value);
  }
  return half;
}

/// Unaligned access: codes may lie anywhere in a mapped file.
template <typename T>
[[nodiscard]] T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

}  // namespace assay::precision
