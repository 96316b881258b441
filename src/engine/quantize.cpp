#include "engine/quantize.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>

#include "base/io.h"
#include "base/thread_pool.h"
#include "engine/encode_weight.h"
#include "engine/new_folder.h"
#include "engine/planner.h"
#include "files/safetensors_writer.h"
#include "precision/constants.h"

namespace assay::engine {
namespace {

namespace fs = std::filesystem;
using files::StoredTensor;
using files::TensorHeader;
using precision::EncodedTensor;
using precision::Encoding;
using precision::Precision;

constexpr std::array<std::string_view, 11> kCompanions = {"generation_config.json",
                                                          "tokenizer.json",
                                                          "tokenizer_config.json",
                                                          "tokenizer.model",
                                                          "vocab.txt",
                                                          "vocab.json",
                                                          "merges.txt",
                                                          "added_tokens.json",
                                                          "spiece.model",
                                                          "chat_template.json",
                                                          "chat_template.jinja"};
constexpr std::string_view kSpecialTokens = "special_tokens_map.json";

/// A layer that is written quantized: its tensor in the source, and what it becomes.
struct QuantizedLayer {
  const StoredTensor* tensor;
  Precision precision;
  std::string module;  ///< name of the tensor without ".weight"
};

/// "bfloat16", as torch has it.
std::string torch_name(Encoding encoding) {
  return encoding == Encoding::bf16  ? "bfloat16"
         : encoding == Encoding::f16 ? "float16"
                                     : "float32";
}

/// The JSON text beside 4-bit codes.
std::string quant_state(const QuantizedLayer& layer, const EncodedTensor* weight) {
  nlohmann::ordered_json state;
  state["quant_type"] = precision::name_of(*layer.precision.weight);
  state["blocksize"] = precision::kFourBitBlock;
  state["dtype"] = torch_name(layer.tensor->encoding);
  state["shape"] = layer.tensor->shape;
  if (!layer.precision.double_quant) return state.dump();
  state["nested_blocksize"] = precision::kNestedBlock;
  state["nested_dtype"] = "float32";
  std::string text = state.dump();
  text.pop_back();
  // The sign's place makes every text equally long: the header is written before offsets are known.
  const double offset = weight == nullptr ? 0.0 : double{weight->nested->offset};
  return text + fmt::format(",\"nested_offset\":{: .17e}}}", offset);
}

template <typename T>
std::span<const std::byte> view_of(std::span<const T> values) {
  return std::as_bytes(values);
}

/// The tensors of one quantized layer: what the header says, and what is written.
class LayerForm {
 public:
  explicit LayerForm(const QuantizedLayer& layer)
      : layer_(layer),
        rows_(layer.tensor->shape[0]),
        cols_(layer.tensor->shape[1]),
        weight_name_(layer.tensor->name) {}

  void headers(std::vector<TensorHeader>& out) const {
    const precision::EncodingInfo& info = precision::info(*layer_.precision.weight);
    if (info.id == Encoding::int8) {
      out.push_back({weight_name_, "I8", {rows_, cols_}});
      out.push_back({layer_.module + ".SCB", "F32", {rows_}});
      out.push_back({layer_.module + ".weight_format", "U8", {}});
      return;
    }
    const std::int64_t blocks = info.scale_count(rows_, cols_);
    const bool nested = layer_.precision.double_quant;
    out.push_back({weight_name_, "U8", {info.code_bytes(rows_, cols_), 1}});
    out.push_back({weight_name_ + ".absmax", nested ? "U8" : "F32", {blocks}});
    out.push_back({weight_name_ + ".quant_map", "F32", {16}});
    out.push_back({state_name(), "U8", {std::ssize(quant_state(layer_, nullptr))}});
    if (!nested) return;
    const std::int64_t groups = (blocks + precision::kNestedBlock - 1) / precision::kNestedBlock;
    out.push_back({weight_name_ + ".nested_absmax", "F32", {groups}});
    out.push_back({weight_name_ + ".nested_quant_map", "F32", {256}});
  }

  void write(const EncodedTensor& weight, files::SafetensorsWriter& writer) const {
    writer.write(weight_name_, weight.codes.bytes.first(static_cast<std::size_t>(
                                   precision::info(weight.encoding).code_bytes(rows_, cols_))));
    if (weight.encoding == Encoding::int8) {
      constexpr std::byte kRowMajor{0};
      writer.write(layer_.module + ".SCB", view_of<float>(weight.scales));
      writer.write(layer_.module + ".weight_format", {&kRowMajor, 1});
      return;
    }
    const auto& table =
        weight.encoding == Encoding::nf4 ? precision::kNf4Table : precision::kFp4Table;
    writer.write(weight_name_ + ".quant_map", view_of<float>(table));
    const std::string state = quant_state(layer_, &weight);
    writer.write(state_name(), view_of<char>(state));
    if (weight.nested == nullptr) {
      writer.write(weight_name_ + ".absmax", view_of<float>(weight.scales));
      return;
    }
    writer.write(weight_name_ + ".absmax", view_of<std::uint8_t>(weight.nested->codes));
    writer.write(weight_name_ + ".nested_absmax", view_of<float>(weight.nested->absmax));
    writer.write(weight_name_ + ".nested_quant_map", view_of<float>(precision::kSignedDynamicMap));
  }

 private:
  [[nodiscard]] std::string state_name() const {
    return fmt::format("{}.quant_state.bitsandbytes__{}", weight_name_,
                       precision::name_of(*layer_.precision.weight));
  }

  const QuantizedLayer& layer_;
  std::int64_t rows_;
  std::int64_t cols_;
  std::string weight_name_;
};

void require_plain_source(const ModelSource& source) {
  if (source.tensors().format() == "gguf") {
    fail(ErrorCode::unsupported,
         "{} is GGUF: transformers' form needs the config.json of a Hugging Face folder; quantize "
         "that folder",
         source.name());
  }
  if (source.tensors().format() == "synthetic") {
    fail(ErrorCode::unsupported,
         "{} is made in memory: write it with assay make-model, and quantize that folder",
         source.name());
  }
  if (precision::info(source.dominant_encoding()).quantized) {
    fail(ErrorCode::unsupported,
         "{} is stored as {}: quantizing it once more would add losses; quantize the model it was "
         "made from",
         source.name(), source.source_name());
  }
}

/// A bitsandbytes checkpoint has one kind of quantization.
void require_one_form(const Precision& first, const Precision& other, const std::string& layer) {
  const bool integer = other.weight == Encoding::int8;
  const bool four = other.weight == Encoding::nf4 || other.weight == Encoding::fp4;
  if (!(integer && other.activation == precision::Activation::int8_dynamic) && !four) {
    fail(ErrorCode::unsupported,
         "{}: {} has no form in a bitsandbytes checkpoint; nf4, fp4 and int8 have", layer,
         other.name);
  }
  if (first.canonical() == other.canonical()) return;
  fail(ErrorCode::unsupported,
       "{}: a bitsandbytes checkpoint has one quantization; the recipe asks for {} and {}", layer,
       first.name, other.name);
}

/// Layers that share a tensor (a fused one) are quantized together or not at all.
void require_whole_tensors(const ModelSource& source, const precision::Assignment& assignment,
                           const std::vector<QuantizedLayer>& layers) {
  std::set<std::string> quantized;
  for (const QuantizedLayer& layer : layers) quantized.insert(layer.tensor->name);
  std::size_t next = 0;
  for (const models::WeightSpec& spec : source.weights().weights) {
    if (!spec.matrix) continue;
    if (assignment.layers[next++].quantized || !quantized.contains(spec.stored)) continue;
    fail(ErrorCode::unsupported, "{} is a part of tensor '{}', which is quantized whole or not",
         spec.layer.name, base::printable(spec.stored));
  }
}

std::vector<QuantizedLayer> quantized_layers(const ModelSource& source,
                                             const precision::Assignment& assignment) {
  std::vector<QuantizedLayer> layers;
  std::size_t next = 0;
  for (const models::WeightSpec& spec : source.weights().weights) {
    if (!spec.matrix) continue;
    const Precision& precision = assignment.layers[next++];
    if (!precision.quantized) continue;
    const std::string& name = spec.layer.name;
    if (spec.layer.lookup || !spec.layer.tied_to.empty()) {
      fail(ErrorCode::unsupported,
           "{}: transformers quantizes no embedding table and no head that shares its weight",
           name);
    }
    const StoredTensor& tensor = *source.tensors().find(spec.stored);
    const std::int64_t rows = spec.all_rows > 0 ? spec.all_rows : spec.layer.rows;
    const std::vector<std::int64_t> shape = {rows, spec.layer.cols};
    if (!tensor.name.ends_with(".weight") || tensor.shape != shape) {
      fail(ErrorCode::unsupported, "{}: tensor '{}' is no linear layer's weight", name,
           base::printable(tensor.name));
    }
    require_one_form(layers.empty() ? precision : layers.front().precision, precision, name);
    if (spec.first_row > 0 && !layers.empty() && layers.back().tensor == &tensor) continue;
    layers.push_back({&tensor, precision, tensor.name.substr(0, tensor.name.size() - 7)});
  }
  if (layers.empty()) fail(ErrorCode::usage, "the recipe quantizes no layer: nothing to write");
  require_whole_tensors(source, assignment, layers);
  return layers;
}

/// Names of the linear layers that keep their type: a list takes the place of transformers' own.
std::vector<std::string> skipped_modules(const ModelSource& source,
                                         const precision::Assignment& assignment) {
  std::vector<std::string> names;
  std::size_t next = 0;
  for (const models::WeightSpec& spec : source.weights().weights) {
    if (!spec.matrix) continue;
    const bool quantized = assignment.layers[next++].quantized;
    if (quantized || spec.layer.lookup || spec.first_row > 0) continue;
    const bool fused = spec.all_rows > 0;
    names.push_back(fused ? spec.stored.substr(0, spec.stored.rfind('.')) : spec.layer.name);
  }
  return names;
}

Json quantization_config(const Precision& precision, const std::vector<std::string>& skipped) {
  const bool four = precision.weight != Encoding::int8;
  const tensor::DType compute = precision.compute.value_or(tensor::DType::bf16);
  const std::string type = compute == tensor::DType::f32   ? "float32"
                           : compute == tensor::DType::f16 ? "float16"
                                                           : "bfloat16";
  return {{"quant_method", "bitsandbytes"},
          {"load_in_4bit", four},
          {"load_in_8bit", !four},
          {"_load_in_4bit", four},
          {"_load_in_8bit", !four},
          {"llm_int8_threshold", four ? 6.0 : double{precision.threshold}},
          {"llm_int8_skip_modules", skipped},
          {"llm_int8_enable_fp32_cpu_offload", false},
          {"llm_int8_has_fp16_weight", false},
          {"bnb_4bit_quant_type", four ? precision::name_of(*precision.weight) : "fp4"},
          {"bnb_4bit_use_double_quant", precision.double_quant},
          {"bnb_4bit_compute_dtype", four ? type : "float32"},
          {"bnb_4bit_quant_storage", "uint8"}};
}

class CheckpointWriter {
 public:
  CheckpointWriter(const ModelSource& source, const std::vector<QuantizedLayer>& layers,
                   const QuantizeOptions& options)
      : source_(source),
        options_(options),
        pool_(options.threads > 0 ? options.threads : base::available_threads()) {
    for (const QuantizedLayer& layer : layers) layers_.emplace(layer.tensor, &layer);
  }

  void write(const fs::path& file, QuantizeResult& result) {
    files::SafetensorsWriter writer(file, headers(), {{"format", "pt"}});
    double total = 0.0;
    double done = 0.0;
    for (const StoredTensor& t : source_.tensors().tensors()) total += double(t.bytes.size());
    for (const StoredTensor& tensor : source_.tensors().tensors()) {
      base::check_interrupted();
      if (options_.progress) options_.progress("quantize", done / std::max(total, 1.0));
      const auto layer = layers_.find(&tensor);
      if (layer == layers_.end()) {
        writer.write(tensor.name, tensor.bytes);
      } else {
        LayerForm(*layer->second).write(encode(*layer->second), writer);
      }
      done += static_cast<double>(tensor.bytes.size());
    }
    if (options_.progress) options_.progress("write to disk", 1.0);
    writer.commit();
    result.bytes_before = static_cast<std::int64_t>(total);
    result.bytes_after = static_cast<std::int64_t>(writer.total_bytes());
    result.layers = std::ssize(layers_);
  }

 private:
  [[nodiscard]] std::vector<TensorHeader> headers() const {
    std::vector<TensorHeader> headers;
    for (const StoredTensor& tensor : source_.tensors().tensors()) {
      const auto layer = layers_.find(&tensor);
      if (layer == layers_.end()) {
        headers.push_back({tensor.name, tensor.type, tensor.shape});
      } else {
        LayerForm(*layer->second).headers(headers);
      }
    }
    return headers;
  }

  EncodedTensor encode(const QuantizedLayer& layer) {
    try {
      EncodedTensor weight =
          encode_weight(source_.tensors().encoded(*layer.tensor), *layer.precision.weight, pool_);
      if (layer.precision.double_quant) precision::quantize_scales(weight);
      return weight;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::numeric) throw;
      fail(ErrorCode::numeric, "{}: tensor '{}': {}", source_.tensors().path().string(),
           base::printable(layer.tensor->name), error.what());
    }
  }

  const ModelSource& source_;
  const QuantizeOptions& options_;
  base::ThreadPool pool_;
  std::map<const StoredTensor*, const QuantizedLayer*> layers_;
};

void copy_companions(const fs::path& from, const fs::path& to, QuantizeResult& result) {
  std::vector<std::string_view> names(kCompanions.begin(), kCompanions.end());
  names.push_back(kSpecialTokens);
  for (const std::string_view name : names) {
    std::error_code ignored;
    if (!fs::is_regular_file(from / name, ignored)) continue;
    base::write_atomically(to / name, base::read_text(from / name));
    result.copied.emplace_back(name);
  }
}

}  // namespace

QuantizeResult write_quantized(const ModelSource& source, const precision::Recipe& recipe,
                               const fs::path& folder, const QuantizeOptions& options) {
  require_plain_source(source);
  const auto model = source.layers();
  const precision::Assignment assignment =
      precision::assign(recipe, model, sixteen_bit_type(tensor::Device{}));
  const std::vector<QuantizedLayer> layers = quantized_layers(source, assignment);
  prepare_new_folder(folder);

  QuantizeResult result;
  result.notices = assignment.notices;
  CheckpointWriter(source, layers, options).write(folder / "model.safetensors", result);
  copy_companions(source.files().root, folder, result);
  Json config = base::read_json(source.files().config);
  config["quantization_config"] =
      quantization_config(layers.front().precision, skipped_modules(source, assignment));
  base::write_atomically(folder / "config.json", config.dump(2) + "\n");
  return result;
}

}  // namespace assay::engine
