#include "engine/source.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <mutex>

#include "base/hash.h"
#include "base/io.h"
#include "files/gguf_split.h"
#include "files/hub_cache.h"

namespace assay::engine {
namespace {

using precision::Encoding;

/// A config.json is a few kilobytes; a hostile one must not cost `inspect` its memory.
constexpr std::size_t kMostConfigBytes = std::size_t{1} << 20;

/// "q4_k" of ".Q4_K_M": the encoding that most weights of such a file have.
std::string encoding_of_suffix(std::string suffix) {
  for (char& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string_view name = suffix;
  if (!name.empty()) name.remove_prefix(1);
  for (const std::string_view mix : {"_k_s", "_k_m", "_k_l", "_k_xl"}) {
    if (name.ends_with(mix)) name.remove_suffix(mix.size() - 2);
  }
  return std::string(name);
}

/// "SmolLM2-135M-Instruct" from "SmolLM2-135M-Instruct.Q4_1.gguf", and from a part of it
/// ("...Q4_1-00001-of-00003.gguf"). Names in the metadata of files are those of the model they were
/// made from, so the path has the word.
std::string name_of_file(const std::filesystem::path& file) {
  const auto part = files::split_name(file);
  std::filesystem::path stem = part ? std::filesystem::path(part->stem) : file.stem();
  const std::string encoding = encoding_of_suffix(stem.extension().string());
  if (precision::find_encoding(encoding) != nullptr) stem = stem.stem();
  return stem.string();
}

std::string name_of_folder(const std::filesystem::path& folder) {
  const std::filesystem::path absolute = std::filesystem::weakly_canonical(folder);
  if (const auto model = files::snapshot_name(absolute)) return *model;
  const std::string name = absolute.filename().string();
  return name == "model" ? absolute.parent_path().filename().string() : name;
}

std::int64_t elements(const files::StoredTensor& tensor) {
  std::int64_t count = 1;
  for (const std::int64_t n : tensor.shape) count *= n;
  return count;
}

/// Calls f(tensor) for every tensor of the file that the model uses, a tied or fused one once.
template <typename F>
void for_each_tensor(const models::WeightMap& map, const files::TensorFile& file, const F& f) {
  for (const models::WeightSpec& spec : map.weights) {
    if (spec.first_row > 0) continue;
    if (spec.layer.tied_to.empty()) f(*file.find(spec.stored));
    if (!spec.bias.empty()) f(*file.find(spec.bias));
  }
}

}  // namespace

std::string display_name(Encoding encoding) {
  if (encoding == Encoding::f32) return "fp32";
  if (encoding == Encoding::f16) return "fp16";
  return std::string(precision::name_of(encoding));
}

std::string find_model(const std::string& text) {
  if (const auto synthetic = parse_synthetic(text)) return to_string(*synthetic);
  return std::filesystem::absolute(files::find_model(text)).string();
}

std::string content_hash(const std::string& model, const base::ProgressSink& progress) {
  const auto synthetic = parse_synthetic(model);
  if (!synthetic) return files::content_hash(files::locate_model(model), progress);
  return base::sha256_hex(config_of(*synthetic).dump());
}

std::shared_ptr<const ModelSource> ModelSource::open(const std::filesystem::path& path) {
  auto source = std::make_shared<ModelSource>();
  if (const auto synthetic = parse_synthetic(path.string())) {
    source->open_synthetic(*synthetic);
  } else {
    source->open_files(path);
  }
  source->weights_ = models::map_weights(source->config_, *source->tensors_);
  return source;
}

void ModelSource::open_files(const std::filesystem::path& path) {
  files_ = files::locate_model(path);
  tensors_ = std::make_shared<const files::TensorFile>(files::open_tensor_file(files_.weights));
  if (tensors_->format() == "gguf") {
    config_ = models::config_from_gguf(*tensors_);
    name_ = base::printable(name_of_file(files_.weights));
    return;
  }
  const std::string name = files_.config.string();
  const Json json = base::read_json(files_.config, kMostConfigBytes);
  config_ = models::config_from_json(json, name);
  synthetic_ = synthetic_of(json, name);
  open_quantized_layers(json, name);
  name_ = base::printable(name_of_folder(files_.weights.parent_path()));
}

void ModelSource::open_synthetic(const SyntheticModel& model) {
  synthetic_ = model;
  config_ = models::config_from_json(config_of(model), to_string(model));
  synthetic_tensors_ = tensors_of(model, config_);
  tensors_ =
      std::make_shared<const files::TensorFile>(engine::open_synthetic(model, synthetic_tensors_));
  name_ = model.like + (model.outliers ? "-outliers" : "");
}

void ModelSource::open_quantized_layers(const Json& config, const std::string& name) {
  const auto quantization = config.find("quantization_config");
  if (quantization == config.end() || quantization->is_null()) return;
  quantized_ = open_quantized(tensors_, *quantization, name);
  tensors_ = quantized_.tensors;
}

std::vector<precision::LayerInfo> ModelSource::layers() const {
  std::vector<precision::LayerInfo> layers;
  for (const models::WeightSpec& spec : weights_.weights) {
    if (!spec.matrix) continue;
    layers.push_back(spec.layer);
    const auto stored = quantized_.layers.find(spec.stored);
    if (stored != quantized_.layers.end()) layers.back().stored = stored->second;
  }
  return layers;
}

std::int64_t ModelSource::parameters() const {
  std::int64_t count = 0;
  for_each_tensor(weights_, *tensors_, [&](const files::StoredTensor& t) { count += elements(t); });
  return count;
}

Encoding ModelSource::dominant_encoding() const {
  std::array<std::int64_t, precision::kEncodingCount> counts{};
  for_each_tensor(weights_, *tensors_, [&](const files::StoredTensor& t) {
    const bool counts_here = quantized_.method.empty() || quantized_.layers.contains(t.name);
    if (counts_here) counts[static_cast<std::size_t>(t.encoding)] += elements(t);
  });
  const auto largest = std::max_element(counts.begin(), counts.end());
  return static_cast<Encoding>(largest - counts.begin());
}

const precision::SyntheticTensor* ModelSource::synthetic_tensor(const std::string& name) const {
  for (const auto& tensor : synthetic_tensors_) {
    if (tensor->name == name) return tensor.get();
  }
  return nullptr;
}

std::string ModelSource::source_name() const {
  const std::string encoding = display_name(dominant_encoding());
  const std::string stored =
      quantized_.method.empty() ? encoding : quantized_.method + " " + encoding;
  return synthetic_ ? stored + " (synthetic)" : stored;
}

Json ModelSource::bytes_by_encoding() const {
  Json bytes = Json::object();
  for_each_tensor(weights_, *tensors_, [&](const files::StoredTensor& t) {
    const std::string name = display_name(t.encoding);
    bytes[name] = bytes.value(name, std::int64_t{0}) + std::ssize(t.bytes) +
                  static_cast<std::int64_t>(t.extra_bytes);
  });
  return bytes;
}

const text::Tokenizer& ModelSource::tokenizer() const {
  if (synthetic_) {
    fail(ErrorCode::unsupported,
         "{} is a synthetic model and has no tokenizer: bench runs it on random tokens",
         to_string(*synthetic_));
  }
  static std::mutex mutex;  // opening is rare, using is not: one lock serves all models
  const std::lock_guard lock(mutex);
  if (tokenizer_ == nullptr) tokenizer_ = text::load_tokenizer(files_);
  return *tokenizer_;
}

}  // namespace assay::engine
