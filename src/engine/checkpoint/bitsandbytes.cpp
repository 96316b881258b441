#include <algorithm>
#include <array>

#include "engine/checkpoint/parts.h"
#include "precision/constants.h"

// Checkpoints that transformers writes from a model quantized by bitsandbytes 0.41 and later.
//   4 bit: NAME.weight U8 [bytes, 1], .absmax, .quant_map F32 [16], .quant_state.bitsandbytes__nf4
//   (or __fp4): a JSON text in U8. absmax is F32, or U8 beside .nested_absmax, .nested_quant_map
//   and `nested_offset` of the JSON.
//   8 bit: NAME.weight I8 [rows, cols], NAME.SCB F32 [rows], NAME.weight_format U8, 0 = row-major.
namespace assay::engine {
namespace {

using files::StoredTensor;
using precision::EncodedTensor;
using precision::Encoding;

constexpr std::size_t kMostStateBytes = 4096;

/// The JSON beside 4-bit codes.
class QuantState {
 public:
  QuantState(const CheckpointParts& parts, const StoredTensor& tensor)
      : parts_(parts), tensor_(tensor) {
    if (tensor.type != "U8" || tensor.bytes.size() > kMostStateBytes) {
      parts.fail_tensor(tensor, "must be a JSON text in at most 4096 bytes of type U8");
    }
    const std::string text(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    json_ = base::parse_json(
        text, fmt::format("{}: tensor '{}'", parts.file().path().string(), tensor.name));
    if (!json_.is_object()) parts.fail_tensor(tensor, "must hold a JSON object");
  }

  void require_integer(const char* key, std::int64_t wanted) const {
    const auto it = json_.find(key);
    if (it != json_.end() && it->is_number_integer() && *it == wanted) return;
    fail(ErrorCode::unsupported, "{}: tensor '{}': '{}' is {}; only {} is read",
         parts_.file().path().string(), base::printable(tensor_.name), key,
         it == json_.end() ? "missing" : base::printable(it->dump(), 40), wanted);
  }
  [[nodiscard]] float number(const char* key) const {
    const auto it = json_.find(key);
    if (it == json_.end() || !it->is_number()) {
      parts_.fail_tensor(tensor_, fmt::format("has no number '{}'", key));
    }
    return it->get<float>();
  }
  /// [output channels, input channels].
  [[nodiscard]] std::array<std::int64_t, 2> shape() const {
    const auto it = json_.find("shape");
    const auto valid = [](const Json& n) {
      return n.is_number_integer() && n.get<std::int64_t>() > 0;
    };
    if (it == json_.end() || !it->is_array() || it->size() != 2 || !valid(it->at(0)) ||
        !valid(it->at(1))) {
      parts_.fail_tensor(tensor_, "needs a 'shape' of two sizes");
    }
    return {it->at(0).get<std::int64_t>(), it->at(1).get<std::int64_t>()};
  }

 private:
  const CheckpointParts& parts_;
  const StoredTensor& tensor_;
  Json json_;
};

/// The table in the file must be the one that our decoder has. -0 equals 0: fp4 has both.
template <std::size_t N>
void require_table(const CheckpointParts& parts, const StoredTensor& tensor,
                   const std::array<float, N>& table) {
  const auto stored = values_of<float>(tensor);
  if (std::equal(stored.begin(), stored.end(), table.begin(), table.end())) return;
  fail(ErrorCode::unsupported, "{}: tensor '{}' is not the standard table of {} values",
       parts.file().path().string(), base::printable(tensor.name), N);
}

/// The scales' second quantization; the offset stands in the JSON as a double.
std::shared_ptr<const precision::DoubleQuant> read_nested(const CheckpointParts& parts,
                                                          const std::string& weight,
                                                          const QuantState& state,
                                                          std::int64_t blocks) {
  state.require_integer("nested_blocksize", precision::kNestedBlock);
  require_table(parts, parts.require(weight + ".nested_quant_map", "F32", {256}),
                precision::kSignedDynamicMap);
  const std::int64_t groups = (blocks + precision::kNestedBlock - 1) / precision::kNestedBlock;
  auto nested = std::make_shared<precision::DoubleQuant>();
  nested->codes = values_of<std::uint8_t>(parts.require(weight + ".absmax", "U8", {blocks}));
  nested->absmax = values_of<float>(parts.require(weight + ".nested_absmax", "F32", {groups}));
  nested->offset = state.number("nested_offset");
  return nested;
}

struct FourBit {
  std::string_view suffix;
  Encoding encoding;
  const std::array<float, 16>& table;
};
constexpr FourBit kFourBits[] = {
    {".quant_state.bitsandbytes__nf4", Encoding::nf4, precision::kNf4Table},
    {".quant_state.bitsandbytes__fp4", Encoding::fp4, precision::kFp4Table}};

class BitsandbytesReader {
 public:
  BitsandbytesReader(CheckpointParts& parts, const Json& config, const std::string& source)
      : parts_(parts), configured_(configured_precision(config, source)) {}

  LayerPrecisions read() {
    for (const StoredTensor& tensor : parts_.file().tensors()) {
      for (const FourBit& kind : kFourBits) {
        const std::string weight = module_of(tensor.name, kind.suffix);
        if (!weight.empty()) add_four_bit(weight, tensor, kind);
      }
      const std::string module = module_of(tensor.name, ".SCB");
      if (!module.empty()) add_eight_bit(module, tensor);
    }
    for (const StoredTensor& tensor : parts_.file().tensors()) refuse_incomplete(tensor);
    return std::move(layers_);
  }

 private:
  static precision::Precision configured_precision(const Json& config, const std::string& source) {
    try {
      return precision::parse_recipe("bitsandbytes", config, source).default_precision;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::usage) throw;
      fail(ErrorCode::bad_data, "{}", error.what());
    }
  }

  void add_four_bit(const std::string& weight, const StoredTensor& state_tensor,
                    const FourBit& kind) {
    const QuantState state(parts_, state_tensor);
    state.require_integer("blocksize", precision::kFourBitBlock);
    const auto [rows, cols] = state.shape();
    const precision::EncodingInfo& info = precision::info(kind.encoding);
    const std::int64_t bytes = info.code_bytes(rows, cols);
    const std::int64_t blocks = info.scale_count(rows, cols);
    const StoredTensor& codes = parts_.require(weight, "U8");
    if (codes.bytes.size() != static_cast<std::size_t>(bytes)) {
      parts_.fail_tensor(codes, fmt::format("has {} bytes of codes, {} x {} weights take {}",
                                            codes.bytes.size(), rows, cols, bytes));
    }
    const StoredTensor& map = parts_.require(weight + ".quant_map", "F32", {16});
    require_table(parts_, map, kind.table);

    EncodedTensor whole{.encoding = kind.encoding,
                        .rows = rows,
                        .cols = cols,
                        .codes = parts_.file().shared(codes),
                        .scales = {}};
    std::vector<const StoredTensor*> used = {&codes, &state_tensor, &map};
    const StoredTensor* absmax = parts_.find(weight + ".absmax");
    const bool nested = absmax != nullptr && absmax->type == "U8";
    if (nested) {
      whole.nested = read_nested(parts_, weight, state, blocks);
      used.push_back(parts_.find(weight + ".nested_absmax"));
      used.push_back(parts_.find(weight + ".nested_quant_map"));
    } else {
      whole.scales = values_of<float>(parts_.require(weight + ".absmax", "F32", {blocks}));
    }
    used.push_back(parts_.find(weight + ".absmax"));
    replace(weight, std::move(whole), used, nested);
  }

  void add_eight_bit(const std::string& module, const StoredTensor& scb) {
    const StoredTensor& codes = parts_.require(module + ".weight", "I8");
    if (codes.shape.size() != 2) parts_.fail_tensor(codes, "must be a matrix");
    std::vector<const StoredTensor*> used = {
        &codes, &parts_.require(scb.name, "F32", {codes.shape.front()})};
    if (const StoredTensor* format = parts_.find(module + ".weight_format")) {
      const bool row_major = format->type == "U8" && format->bytes.size() == 1 &&
                             format->bytes.front() == std::byte{0};
      if (!row_major) {
        fail(ErrorCode::unsupported, "{}: tensor '{}': only row-major weights (0) are read",
             parts_.file().path().string(), base::printable(format->name));
      }
      used.push_back(format);
    }
    replace(module + ".weight",
            {.encoding = Encoding::int8,
             .rows = codes.shape[0],
             .cols = codes.shape[1],
             .codes = parts_.file().shared(codes),
             .scales = values_of<float>(scb)},
            used, false);
  }

  void replace(const std::string& name, EncodedTensor whole,
               const std::vector<const StoredTensor*>& used, bool nested) {
    precision::Precision precision = configured_;
    if (precision.weight != whole.encoding) {
      parts_.fail_tensor(*used.front(),
                         fmt::format("is stored as {}, but 'quantization_config' says {}",
                                     precision::name_of(whole.encoding), precision.name));
    }
    precision.double_quant = nested;
    layers_.emplace(name, std::move(precision));
    StoredTensor tensor;
    tensor.name = name;
    tensor.type = fmt::format("bnb {}", precision::name_of(whole.encoding));
    tensor.encoding = whole.encoding;
    tensor.shape = {whole.rows, whole.cols};
    tensor.assemble = [file = parts_.shared_file(), whole = std::move(whole)] { return whole; };
    parts_.replace(std::move(tensor), used);
  }

  /// Codes whose companions are gone must not pass for a tensor without a part in the model.
  void refuse_incomplete(const StoredTensor& tensor) const {
    const bool codes = tensor.type == "U8" || tensor.type == "I8";
    if (!codes || parts_.used(tensor.name) || !tensor.name.ends_with(".weight")) return;
    parts_.fail_tensor(tensor, "holds codes, but its quant_state or SCB is missing");
  }

  CheckpointParts& parts_;
  precision::Precision configured_;
  LayerPrecisions layers_;
};

}  // namespace

LayerPrecisions read_bitsandbytes(CheckpointParts& parts, const Json& config,
                                  const std::string& source) {
  return BitsandbytesReader(parts, config, source).read();
}

}  // namespace assay::engine
