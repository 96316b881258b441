#include "engine/checkpoint/grouped.h"

// GPTQ, as AutoGPTQ and GPTQModel write it, of 4 and 8 bits. With f = 32 / bits codes to a word,
// the lowest first:
//   NAME.qweight I32 [cols / f, rows]    codes along the depth
//   NAME.qzeros  I32 [groups, rows / f]  zeros along the output channels
//   NAME.scales  F16 or BF16 [groups, rows]
//   NAME.g_idx   I32 [cols]              group of each column; with act-order not ascending
// checkpoint_format "gptq" (v1, also where nothing is said) stores every zero one lower, as a
// packed subtraction: adding 0x11111111 (or 0x01010101) to the word, with its carries, undoes it
// also where a zero was 0. "gptq_v2" stores the zeros themselves.
namespace assay::engine {
namespace {

using files::StoredTensor;

struct GptqConfig {
  int bits = 4;
  std::int64_t group_size = -1;
  bool zeros_minus_one = true;
};

std::string config_text(const Json& config, const char* key) {
  const auto it = config.find(key);
  return it == config.end() || !it->is_string() ? "" : it->get<std::string>();
}

GptqConfig read_gptq_config(const Json& config, const std::string& source) {
  GptqConfig result;
  const std::int64_t bits = config_integer(config, "bits", source);
  if (bits != 4 && bits != 8) {
    fail(ErrorCode::unsupported, "{}: 'bits' is {}; GPTQ of 4 and 8 bits is read", source, bits);
  }
  result.bits = static_cast<int>(bits);
  result.group_size = config_integer(config, "group_size", source);
  if (result.group_size != -1 && result.group_size < 1) {
    fail(ErrorCode::bad_data, "{}: 'group_size' is {}", source, result.group_size);
  }
  const std::string format = config_text(config, "checkpoint_format");
  if (!format.empty() && format != "gptq" && format != "gptq_v2") {
    fail(ErrorCode::unsupported, "{}: 'checkpoint_format' \"{}\" is not read; gptq and gptq_v2 are",
         source, base::printable(format));
  }
  result.zeros_minus_one = format != "gptq_v2";
  const std::string words = config_text(config, "pack_dtype");
  if (!words.empty() && words != "int32") {
    fail(ErrorCode::unsupported, "{}: 'pack_dtype' \"{}\" is not read; int32 is", source,
         base::printable(words));
  }
  if (config.value("is_marlin_format", Json(false)) == Json(true)) {
    fail(ErrorCode::unsupported, "{}: 'is_marlin_format' is not read", source);
  }
  return result;
}

class GptqReader {
 public:
  GptqReader(CheckpointParts& parts, const Json& config, const std::string& source)
      : parts_(parts),
        config_(read_gptq_config(config, source)),
        fields_(32 / config_.bits),
        mask_((1U << config_.bits) - 1) {}

  LayerPrecisions read() {
    for (const StoredTensor& tensor : parts_.file().tensors()) {
      const std::string module = module_of(tensor.name, ".qweight");
      if (!module.empty()) add(module);
    }
    return std::move(layers_);
  }

 private:
  void add(const std::string& module) {
    const StoredTensor& codes = parts_.require(module + ".qweight", "I32");
    if (codes.shape.size() != 2 || codes.bytes.empty())
      parts_.fail_tensor(codes, "must be a matrix");
    GroupedLayer layer;
    layer.method = "gptq";
    layer.weight = module + ".weight";
    layer.bits = config_.bits;
    layer.cols = codes.shape[0] * fields_;
    layer.rows = codes.shape[1];
    layer.group = config_.group_size == -1 ? layer.cols : config_.group_size;
    const std::int64_t groups = group_count(layer);

    const StoredTensor& scales = parts_.require_float(module + ".scales", {groups, layer.rows});
    layer.scales = transposed(floats_of(scales), groups, layer.rows);
    const StoredTensor& zeros =
        parts_.require(module + ".qzeros", "I32", {groups, (layer.rows + fields_ - 1) / fields_});
    layer.zeros = zeros_of(zeros, groups, layer.rows);
    std::vector<const StoredTensor*> used = {&codes, &scales, &zeros};
    if (const StoredTensor* order = parts_.find(module + ".g_idx")) {
      layer.group_of = values_of<std::int32_t>(parts_.require(order->name, "I32", {layer.cols}));
      used.push_back(order);
    }
    layer.column_codes = [bytes = codes.bytes, rows = layer.rows, fields = fields_,
                          bits = config_.bits,
                          mask = mask_](std::int64_t column, std::span<std::uint8_t> out) {
      const std::int64_t first = column / fields * rows;
      const auto shift = static_cast<unsigned>(column % fields * bits);
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::uint32_t word = word_at(bytes, first + r);
        out[static_cast<std::size_t>(r)] = static_cast<std::uint8_t>((word >> shift) & mask);
      }
    };
    layers_.emplace(layer.weight, weight_only(layer.bits == 4 ? precision::Encoding::int4
                                                              : precision::Encoding::uint8));
    replace_grouped(parts_, std::move(layer), used);
  }

  [[nodiscard]] std::vector<std::uint8_t> zeros_of(const StoredTensor& tensor, std::int64_t groups,
                                                   std::int64_t rows) const {
    const std::uint32_t one = config_.bits == 4 ? 0x11111111U : 0x01010101U;
    const std::int64_t words = tensor.shape[1];
    std::vector<std::uint8_t> zeros(static_cast<std::size_t>(groups * rows));
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t r = 0; r < rows; ++r) {
        std::uint32_t word = word_at(tensor.bytes, g * words + r / fields_);
        if (config_.zeros_minus_one) word += one;
        const auto shift = static_cast<unsigned>(r % fields_ * config_.bits);
        zeros[static_cast<std::size_t>(r * groups + g)] =
            static_cast<std::uint8_t>((word >> shift) & mask_);
      }
    }
    return zeros;
  }

  CheckpointParts& parts_;
  GptqConfig config_;
  std::int64_t fields_;  ///< codes to a word
  std::uint32_t mask_;
  LayerPrecisions layers_;
};

}  // namespace

LayerPrecisions read_gptq(CheckpointParts& parts, const Json& config, const std::string& source) {
  return GptqReader(parts, config, source).read();
}

}  // namespace assay::engine
