#include <array>

#include "engine/checkpoint/grouped.h"

// AWQ in its "gemm" form, as AutoAWQ and GPTQModel write it: 4 bit, with zeros also where they are
// all 8
// (`zero_point` false).
//   NAME.qweight I32 [cols, rows / 8]    codes along the output channels
//   NAME.qzeros  I32 [groups, rows / 8]
//   NAME.scales  F16 [groups, rows]
// Nibble i of a word, the lowest first, is output channel kAwqOrder[i] of the word's eight.
namespace assay::engine {
namespace {

using files::StoredTensor;

constexpr std::array<std::size_t, 8> kAwqOrder = {0, 2, 4, 6, 1, 3, 5, 7};
constexpr std::int64_t kAwqFields = 8;

void unpack_awq(std::uint32_t word, std::uint8_t* out) {
  for (std::size_t i = 0; i < kAwqOrder.size(); ++i) {
    out[kAwqOrder[i]] = static_cast<std::uint8_t>((word >> (4 * i)) & 0xfU);
  }
}

void check_awq_config(const Json& config, const std::string& source) {
  const std::int64_t bits = config_integer(config, "bits", source);
  if (bits != 4) {
    fail(ErrorCode::unsupported, "{}: 'bits' is {}; AWQ of 4 bits is read", source, bits);
  }
  std::string version = config.value("version", Json("gemm")).is_string()
                            ? config.value("version", Json("gemm")).get<std::string>()
                            : "";
  for (char& c : version) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (version != "gemm") {
    fail(ErrorCode::unsupported, "{}: 'version' \"{}\" is not read; gemm is", source,
         base::printable(version));
  }
}

LayerPrecisions::value_type read_awq_layer(CheckpointParts& parts, const std::string& module,
                                           std::int64_t group_size) {
  const StoredTensor& codes = parts.require(module + ".qweight", "I32");
  if (codes.shape.size() != 2 || codes.bytes.empty()) parts.fail_tensor(codes, "must be a matrix");
  GroupedLayer layer;
  layer.method = "awq";
  layer.weight = module + ".weight";
  layer.cols = codes.shape[0];
  layer.rows = codes.shape[1] * kAwqFields;
  layer.group = group_size == -1 ? layer.cols : group_size;
  const std::int64_t groups = group_count(layer);
  const StoredTensor& scales = parts.require_float(module + ".scales", {groups, layer.rows});
  const StoredTensor& zeros = parts.require(module + ".qzeros", "I32", {groups, codes.shape[1]});
  layer.scales = transposed(floats_of(scales), groups, layer.rows);
  layer.zeros.resize(layer.scales.size());
  std::array<std::uint8_t, kAwqFields> eight{};
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t r = 0; r < layer.rows; r += kAwqFields) {
      unpack_awq(word_at(zeros.bytes, g * codes.shape[1] + r / kAwqFields), eight.data());
      for (std::int64_t i = 0; i < kAwqFields; ++i) {
        layer.zeros[static_cast<std::size_t>((r + i) * groups + g)] =
            eight[static_cast<std::size_t>(i)];
      }
    }
  }
  layer.column_codes = [bytes = codes.bytes, words = codes.shape[1]](std::int64_t column,
                                                                     std::span<std::uint8_t> out) {
    for (std::int64_t w = 0; w < words; ++w) {
      unpack_awq(word_at(bytes, column * words + w), out.data() + w * kAwqFields);
    }
  };
  const std::string name = layer.weight;
  replace_grouped(parts, std::move(layer), {&codes, &scales, &zeros});
  return {name, weight_only(precision::Encoding::int4)};
}

}  // namespace

LayerPrecisions read_awq(CheckpointParts& parts, const Json& config, const std::string& source) {
  check_awq_config(config, source);
  const std::int64_t group_size = config_integer(config, "group_size", source);
  if (group_size != -1 && group_size < 1) {
    fail(ErrorCode::bad_data, "{}: 'group_size' is {}", source, group_size);
  }
  LayerPrecisions layers;
  for (const StoredTensor& tensor : parts.file().tensors()) {
    const std::string module = module_of(tensor.name, ".qweight");
    if (!module.empty()) layers.insert(read_awq_layer(parts, module, group_size));
  }
  return layers;
}

}  // namespace assay::engine
