#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace assay::precision {

/// How one weight matrix is stored. The order is that of the registry in encoding.cpp; nothing else
/// switches on it.
enum class Encoding : std::uint8_t {
  f32,
  f16,
  bf16,
  int8,
  nf4,
  fp4,
  q4_0,
  q4_1,
  q8_0,
  int4,
  uint8,
  fp8_e4m3,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4
};
inline constexpr int kEncodingCount = 22;

struct BlockForm;  // precision/encodings/blocks.h

/// Bytes that are owned here or borrowed from a mapped file; `owner` keeps them alive.
struct SharedBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};
[[nodiscard]] SharedBytes share(tensor::Buffer buffer);

/// Scales of 4-bit blocks quantized a second time (QLoRA): codes into the signed dynamic map of 256
/// entries, one f32 absmax per 256 codes, one offset.
struct DoubleQuant {
  std::vector<std::uint8_t> codes;  ///< one per block of weights
  std::vector<float> absmax;        ///< one per 256 codes
  float offset = 0.0F;
};

/// What groups along a row have beside their scales (GPTQ, AWQ, compressed-tensors).
struct Grouping {
  std::int64_t size = 0;            ///< stored columns of one group; the last may be shorter
  std::vector<std::uint8_t> zeros;  ///< [rows][groups]: a code c stands for (c - zero) * scale
  /// Act-order: column of the weight that stored column j holds, a permutation; empty: j itself.
  std::vector<std::int32_t> order;
};

/// A weight of shape [rows, cols] (output channels x input channels), in one encoding.
/// `codes` are in the encoding's own layout, documented in precision/encodings/<name>.h.
/// int8: scales = absmax per row. nf4, fp4: scales = absmax per block of 64 over the flattened
/// tensor, or `nested` in their place. With `groups`: scales = [rows][groups]. Others carry their
/// scales in `codes`.
struct EncodedTensor {
  Encoding encoding = Encoding::f32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  SharedBytes codes;
  std::vector<float> scales;
  std::shared_ptr<const DoubleQuant> nested = nullptr;
  std::shared_ptr<const Grouping> groups = nullptr;

  [[nodiscard]] std::int64_t elements() const { return rows * cols; }
  /// Bytes of codes and scales, as stored.
  [[nodiscard]] std::int64_t bytes() const;
};

/// One row of the registry: everything the rest of the program asks of an encoding.
struct EncodingInfo {
  Encoding id;
  std::string_view name;   ///< "nf4", as in recipes and reports
  int block;               ///< weights of a block; 0 = a whole row; 1 = none
  double bits_per_weight;  ///< with scales; without a row's single scale
  bool quantized;          ///< false for f32, f16, bf16
  bool row_aligned;        ///< blocks never cross a row
  /// Bytes of `codes` for rows x cols; throws bad_data where the shape does not fit the blocks or
  /// a product overflows.
  std::int64_t (*code_bytes)(std::int64_t rows, std::int64_t cols);
  /// Reference encoder from row-major f32; nullptr, as encode_range, where we only read the
  /// encoding.
  EncodedTensor (*encode)(std::span<const float> values, std::int64_t rows, std::int64_t cols);
  /// Reference decoder of row r into out[cols].
  void (*decode_row)(const EncodedTensor& tensor, std::int64_t r, std::span<float> out);
  /// Encodes elements [first, first + values.size()) of the flattened tensor; `first` is at a
  /// block's border (a row's, where blocks do not cross rows). codes and scales are those of the
  /// whole tensor; ranges that do not overlap may be encoded at the same time. Throws numeric on
  /// NaN, infinity or a value that does not fit the encoding.
  void (*encode_range)(std::span<const float> values, std::int64_t first, std::int64_t cols,
                       std::span<std::byte> codes, std::span<float> scales);
  /// How many f32 scales `scales` of an EncodedTensor has.
  std::int64_t (*scale_count)(std::int64_t rows, std::int64_t cols);
  /// How blocks of codes are made up, where kernels read them by that alone; else nullptr.
  const BlockForm* blocks = nullptr;
};

[[nodiscard]] const EncodingInfo& info(Encoding encoding) noexcept;
[[nodiscard]] std::span<const EncodingInfo> all_encodings() noexcept;
/// nullptr if no encoding has that name.
[[nodiscard]] const EncodingInfo* find_encoding(std::string_view name) noexcept;
[[nodiscard]] inline std::string_view name_of(Encoding e) noexcept { return info(e).name; }

/// Replaces f32 block scales by the double-quantized form; only for 4-bit encodings. The offset is
/// the mean of all scales, summed in double, unless one is given.
void quantize_scales(EncodedTensor& tensor);
void quantize_scales(EncodedTensor& tensor, float offset);
/// The offset that quantize_scales takes by default: the mean, summed in double in order.
[[nodiscard]] float scale_offset(std::span<const float> scales);
/// The f32 block scales of a 4-bit tensor, double-quantized or not.
[[nodiscard]] std::vector<float> block_scales(const EncodedTensor& tensor);

}  // namespace assay::precision
