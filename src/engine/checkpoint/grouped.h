#pragma once

#include <functional>

#include "engine/checkpoint/parts.h"

namespace assay::engine {

/// A layer in groups, however its file packs the codes.
struct GroupedLayer {
  std::string method;  ///< "gptq": of error messages and the tensor's type
  std::string weight;  ///< "model.layers.0.mlp.up_proj.weight"
  int bits = 4;        ///< 4 or 8
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t group = 0;  ///< columns of one; cols where a row has one scale
  /// Group of each column of the weight (`g_idx`); empty: column / group.
  std::vector<std::int32_t> group_of;
  std::vector<float> scales;        ///< [rows][groups]
  std::vector<std::uint8_t> zeros;  ///< [rows][groups]
  /// All codes of a column of the weight, output channels ascending, into `codes[rows]`.
  std::function<void(std::int64_t column, std::span<std::uint8_t> codes)> column_codes;
};

/// Groups of a row, of which the last may be cut; the group's size is any that a config says.
[[nodiscard]] inline std::int64_t group_count(const GroupedLayer& layer) {
  return layer.cols / layer.group + (layer.cols % layer.group != 0 ? 1 : 0);
}

/// Replaces the parts (the first holds the codes) by the whole, whose codes are put in order when
/// it is asked for. unsupported, naming the layer: groups that our kernels cannot read (no multiple
/// of 32 columns), or an order of columns that does not fill whole groups.
void replace_grouped(CheckpointParts& parts, GroupedLayer layer,
                     const std::vector<const files::StoredTensor*>& used);

/// Word `at` of an I32 tensor that is not copied.
[[nodiscard]] inline std::uint32_t word_at(std::span<const std::byte> bytes, std::int64_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at * 4, 4);
  return word;
}

/// A tensor that is stored [groups][rows], as [rows][groups].
[[nodiscard]] std::vector<float> transposed(const std::vector<float>& values, std::int64_t groups,
                                            std::int64_t rows);

/// An integer of the quantization config; bad_data, naming key and source, where it is none.
[[nodiscard]] std::int64_t config_integer(const Json& config, const char* key,
                                          const std::string& source);

/// Plain activations in the recipe's 16-bit type on weights of this encoding.
[[nodiscard]] precision::Precision weight_only(precision::Encoding encoding);

}  // namespace assay::engine
