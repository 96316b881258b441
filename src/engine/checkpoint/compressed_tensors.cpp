#include <algorithm>

#include "engine/checkpoint/grouped.h"

// compressed-tensors, as llm-compressor writes it. A module's tensors say which of three forms it
// has:
//   pack-quantized   NAME.weight_packed I32 [rows, cols * bits / 32], codes along the depth, the
//   lowest
//                    first, each 2^(bits-1) above its signed value; NAME.weight_shape I64 [2];
//                    NAME.weight_zero_point I32 [rows * bits / 32, groups], packed along the rows;
//                    NAME.weight_g_idx I32 [cols]
//   int-quantized    NAME.weight I8 [rows, cols]
//   float-quantized  NAME.weight F8_E4M3 [rows, cols]
// with NAME.weight_scale: [1] or [1, 1] for the whole tensor, [rows, 1], or [rows, groups].
namespace assay::engine {
namespace {

using files::StoredTensor;
using precision::Encoding;
using precision::Precision;

/// What one config group asks of its layers.
struct Scheme {
  bool int8_activations = false;
  friend bool operator==(const Scheme&, const Scheme&) = default;
};

class SchemeReader {
 public:
  SchemeReader(const Json& config, const std::string& source) : source_(source) {
    refuse(config, "kv_cache_scheme");
    if (const auto sparse = config.find("sparsity_config");
        sparse != config.end() && sparse->is_object() && sparse->contains("format") &&
        sparse->at("format") != "dense") {
      fail_unsupported("sparsity_config", *sparse);
    }
    const auto groups = config.find("config_groups");
    if (groups == config.end() || !groups->is_object() || groups->empty()) {
      fail(ErrorCode::bad_data, "{}: 'config_groups' must be an object of at least one group",
           source);
    }
    bool first = true;
    for (const auto& [name, group] : groups->items()) {
      const Scheme scheme = read_group(group);
      if (!first && scheme != scheme_) {
        fail(ErrorCode::unsupported,
             "{}: 'config_groups' differ in their activations, which is not read", source);
      }
      scheme_ = scheme;
      first = false;
    }
  }

  [[nodiscard]] Scheme scheme() const { return scheme_; }

 private:
  [[noreturn]] void fail_unsupported(const std::string& key, const Json& value) const {
    fail(ErrorCode::unsupported, "{}: '{}' is {}, which is not read", source_, key,
         base::printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), 200));
  }
  void refuse(const Json& object, const char* key) const {
    const auto it = object.find(key);
    if (it != object.end() && !it->is_null()) fail_unsupported(key, *it);
  }

  Scheme read_group(const Json& group) const {
    if (!group.is_object()) {
      fail(ErrorCode::bad_data, "{}: a config group must be an object", source_);
    }
    refuse(group, "output_activations");
    const auto it = group.find("input_activations");
    if (it == group.end() || it->is_null()) return {};
    const Json& activations = *it;
    const bool token = activations.is_object() && activations.value("dynamic", Json()) == true &&
                       activations.value("strategy", Json()) == "token" &&
                       activations.value("symmetric", Json(true)) == true &&
                       activations.value("num_bits", Json()) == 8;
    if (!token || activations.value("type", Json("int")) != "int") {
      fail_unsupported("input_activations", activations);
    }
    return {.int8_activations = true};
  }

  const std::string& source_;
  Scheme scheme_;
};

class CompressedTensorsReader {
 public:
  CompressedTensorsReader(CheckpointParts& parts, const Json& config, const std::string& source)
      : parts_(parts), scheme_(SchemeReader(config, source).scheme()) {}

  LayerPrecisions read() {
    for (const StoredTensor& tensor : parts_.file().tensors()) {
      const std::string module = module_of(tensor.name, ".weight_scale");
      if (module.empty()) continue;
      if (parts_.find(module + ".weight_packed") != nullptr) {
        add_packed(module);
      } else {
        add_plain(module);
      }
    }
    return std::move(layers_);
  }

 private:
  void add_plain(const std::string& module) {
    const StoredTensor* codes = parts_.find(module + ".weight");
    if (codes == nullptr || (codes->type != "I8" && codes->type != "F8_E4M3") ||
        codes->shape.size() != 2) {
      const std::string type = codes == nullptr ? "missing" : codes->type;
      fail(ErrorCode::unsupported, "{}: '{}.weight' is {}; I8 and F8_E4M3 matrices are read",
           parts_.file().path().string(), base::printable(module), type);
    }
    const StoredTensor& scale = *parts_.find(module + ".weight_scale");
    const auto scales = scales_of(scale, codes->shape[0]);
    const bool integer = codes->type == "I8";
    const StoredTensor* zero = parts_.find(module + ".weight_zero_point");
    const std::int64_t groups = std::ssize(scales) / codes->shape[0];
    if (groups != 1 || (zero != nullptr && !all_zero(*zero))) {
      if (!integer) parts_.fail_tensor(scale, "has groups or zeros, which are not read for fp8");
      add_grouped_bytes(module, *codes, scale, scales, zero, groups);
      return;
    }
    if (!integer && scheme_.int8_activations) {
      parts_.fail_tensor(*codes, "is fp8, but the config asks for int8 activations");
    }
    Precision precision = weight_only(integer ? Encoding::int8 : Encoding::fp8_e4m3);
    if (scheme_.int8_activations) precision.activation = precision::Activation::int8_dynamic;
    precision::EncodedTensor whole{.encoding = *precision.weight,
                                   .rows = codes->shape[0],
                                   .cols = codes->shape[1],
                                   .codes = parts_.file().shared(*codes),
                                   .scales = scales};
    if (integer) {
      // Our codes stand for code * absmax / 127. 127 times a scale of 16 bits is exact.
      for (float& s : whole.scales) s *= 127.0F;
    }
    StoredTensor tensor;
    tensor.name = module + ".weight";
    tensor.type = fmt::format("compressed-tensors {}", precision::name_of(whole.encoding));
    tensor.encoding = whole.encoding;
    tensor.shape = codes->shape;
    tensor.assemble = [file = parts_.shared_file(), whole] { return whole; };
    layers_.emplace(tensor.name, std::move(precision));
    parts_.replace(std::move(tensor), with_zero({codes, &scale}, zero));
  }

  /// I8 with groups or zeros: as unsigned codes, 128 higher.
  void add_grouped_bytes(const std::string& module, const StoredTensor& codes,
                         const StoredTensor& scale, const std::vector<float>& scales,
                         const StoredTensor* zero, std::int64_t groups) {
    GroupedLayer layer = grouped(module, codes.shape[0], codes.shape[1], 8, scales, groups);
    if (zero != nullptr) {
      const auto stored = values_of<std::int8_t>(parts_.require(zero->name, "I8"));
      if (stored.size() != scales.size()) parts_.fail_tensor(*zero, "needs one zero a scale");
      for (std::size_t i = 0; i < stored.size(); ++i) {
        layer.zeros[i] = static_cast<std::uint8_t>(stored[i] + 128);
      }
    }
    layer.column_codes = [bytes = codes.bytes, cols = layer.cols](std::int64_t column,
                                                                  std::span<std::uint8_t> out) {
      for (std::size_t r = 0; r < out.size(); ++r) {
        const auto at = static_cast<std::size_t>(static_cast<std::int64_t>(r) * cols + column);
        out[r] = static_cast<std::uint8_t>(bytes[at] ^ std::byte{0x80});
      }
    };
    finish(std::move(layer), with_zero({&codes, &scale}, zero));
  }

  void add_packed(const std::string& module) {
    const StoredTensor& codes = parts_.require(module + ".weight_packed", "I32");
    const StoredTensor& shape_tensor = parts_.require(module + ".weight_shape", "I64", {2});
    const auto shape = values_of<std::int64_t>(shape_tensor);
    const bool matrix = codes.shape.size() == 2 && codes.shape[0] == shape[0] && shape[1] > 0 &&
                        shape[1] % 32 == 0 && codes.shape[1] > 0;
    const std::int64_t bits = matrix ? codes.shape[1] * 32 / shape[1] : 0;
    if (!matrix || (bits != 4 && bits != 8) || codes.shape[1] * 32 != shape[1] * bits) {
      parts_.fail_tensor(codes, "must hold codes of 4 or 8 bits for a multiple of 32 columns");
    }
    const StoredTensor& scale = *parts_.find(module + ".weight_scale");
    const auto scales = scales_of(scale, shape[0]);
    const std::int64_t groups = std::ssize(scales) / shape[0];
    GroupedLayer layer =
        grouped(module, shape[0], shape[1], static_cast<int>(bits), scales, groups);
    std::vector<const StoredTensor*> used = {&codes, &shape_tensor, &scale};
    if (const StoredTensor* zero = parts_.find(module + ".weight_zero_point")) {
      read_packed_zeros(*zero, groups, layer);
      used.push_back(zero);
    }
    if (const StoredTensor* order = parts_.find(module + ".weight_g_idx")) {
      layer.group_of = values_of<std::int32_t>(parts_.require(order->name, "I32", {layer.cols}));
      used.push_back(order);
      // -1 stands in every column where the order is not in use.
      if (layer.group_of.front() < 0) layer.group_of.clear();
    }
    layer.column_codes = [bytes = codes.bytes, words = codes.shape[1], bits](
                             std::int64_t column, std::span<std::uint8_t> out) {
      const std::int64_t fields = 32 / bits;
      const auto shift = static_cast<unsigned>(column % fields * bits);
      for (std::size_t r = 0; r < out.size(); ++r) {
        const std::int64_t at = static_cast<std::int64_t>(r) * words + column / fields;
        out[r] = static_cast<std::uint8_t>((word_at(bytes, at) >> shift) & ((1U << bits) - 1));
      }
    };
    finish(std::move(layer), used);
  }

  void read_packed_zeros(const StoredTensor& zero, std::int64_t groups, GroupedLayer& layer) const {
    const std::int64_t fields = 32 / layer.bits;
    (void)parts_.require(zero.name, "I32", {(layer.rows + fields - 1) / fields, groups});
    for (std::int64_t r = 0; r < layer.rows; ++r) {
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::uint32_t word = word_at(zero.bytes, r / fields * groups + g);
        const auto shift = static_cast<unsigned>(r % fields * layer.bits);
        layer.zeros[static_cast<std::size_t>(r * groups + g)] =
            static_cast<std::uint8_t>((word >> shift) & ((1U << layer.bits) - 1));
      }
    }
  }

  /// Symmetric until zeros are read: the middle code stands for 0.
  [[nodiscard]] GroupedLayer grouped(const std::string& module, std::int64_t rows,
                                     std::int64_t cols, int bits, std::vector<float> scales,
                                     std::int64_t groups) const {
    GroupedLayer layer;
    layer.method = "compressed-tensors";
    layer.weight = module + ".weight";
    layer.bits = bits;
    layer.rows = rows;
    layer.cols = cols;
    layer.group = cols / groups;
    if (cols % groups != 0) {
      fail(ErrorCode::unsupported, "{}: '{}' has {} groups for {} columns, which is not read",
           parts_.file().path().string(), base::printable(layer.weight), groups, cols);
    }
    layer.zeros.assign(scales.size(), static_cast<std::uint8_t>(1U << (bits - 1)));
    layer.scales = std::move(scales);
    return layer;
  }

  void finish(GroupedLayer layer, const std::vector<const StoredTensor*>& used) {
    if (scheme_.int8_activations) {
      parts_.fail_tensor(*used.front(),
                         "has groups or zeros, with which int8 activations are not read");
    }
    layers_.emplace(layer.weight, weight_only(layer.bits == 4 ? Encoding::int4 : Encoding::uint8));
    replace_grouped(parts_, std::move(layer), used);
  }

  /// [rows][groups]; a scale of the whole tensor is repeated.
  [[nodiscard]] std::vector<float> scales_of(const StoredTensor& tensor, std::int64_t rows) const {
    if (!tensor.is_weight) parts_.fail_tensor(tensor, "must be F32, F16 or BF16");
    std::vector<float> scales = floats_of(tensor);
    if (scales.size() == 1) scales.resize(static_cast<std::size_t>(rows), scales.front());
    const bool by_row = tensor.shape.size() == 2 && tensor.shape[0] == rows;
    if (rows < 1 || scales.empty() || std::ssize(scales) % rows != 0 ||
        (!by_row && std::ssize(scales) != rows)) {
      parts_.fail_tensor(tensor, fmt::format("does not fit {} rows", rows));
    }
    return scales;
  }

  static bool all_zero(const StoredTensor& tensor) {
    return std::all_of(tensor.bytes.begin(), tensor.bytes.end(),
                       [](std::byte b) { return b == std::byte{0}; });
  }
  static std::vector<const StoredTensor*> with_zero(std::vector<const StoredTensor*> used,
                                                    const StoredTensor* zero) {
    if (zero != nullptr) used.push_back(zero);
    return used;
  }

  CheckpointParts& parts_;
  Scheme scheme_;
  LayerPrecisions layers_;
};

}  // namespace

LayerPrecisions read_compressed_tensors(CheckpointParts& parts, const Json& config,
                                        const std::string& source) {
  return CompressedTensorsReader(parts, config, source).read();
}

}  // namespace assay::engine
