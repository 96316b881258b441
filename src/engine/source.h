#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "engine/checkpoint/checkpoint.h"
#include "engine/synthetic.h"
#include "models/config.h"
#include "text/tokenizer.h"

namespace assay::engine {

/// "fp32" and "fp16" for f32 and f16, as precisions are called; other encodings have one name.
[[nodiscard]] std::string display_name(precision::Encoding encoding);

/// What `-m` names: an existing file or folder, "org/name" in the Hugging Face cache, or a
/// synthetic model; as an absolute path or the synthetic model's text. Errors: io, usage.
[[nodiscard]] std::string find_model(const std::string& text);

/// SHA-256 over the content of the model's files, or of what defines a synthetic one.
[[nodiscard]] std::string content_hash(const std::string& model,
                                       const base::ProgressSink& progress = {});

/// A model on disk, opened and checked but not loaded: files, config, weight map. Shared,
/// immutable.
class ModelSource {
 public:
  /// `path` may also be the text of a synthetic model. Errors: bad_data (unknown architecture,
  /// malformed file, missing tensor), io, usage.
  [[nodiscard]] static std::shared_ptr<const ModelSource> open(const std::filesystem::path& path);

  [[nodiscard]] const files::ModelFiles& files() const { return files_; }
  [[nodiscard]] const files::TensorFile& tensors() const { return *tensors_; }
  [[nodiscard]] const models::ModelConfig& config() const { return config_; }
  [[nodiscard]] const models::WeightMap& weights() const { return weights_; }
  [[nodiscard]] std::vector<precision::LayerInfo> layers() const;
  /// "SmolLM2-135M-Instruct": from the file's or the folder's name.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::int64_t parameters() const;
  /// Encoding that holds most of the weights ("q4_1", "f32"); of a quantized checkpoint, most of
  /// those that it quantizes.
  [[nodiscard]] precision::Encoding dominant_encoding() const;
  /// The random model that this is, in memory or as files; none for real ones.
  [[nodiscard]] const std::optional<SyntheticModel>& synthetic() const { return synthetic_; }
  /// What tensor `name` is made of, of a synthetic model in memory; nullptr for all others.
  [[nodiscard]] const precision::SyntheticTensor* synthetic_tensor(const std::string& name) const;
  /// What rows call the source: "fp32", "q4_1", "bnb nf4", "bf16 (synthetic)".
  [[nodiscard]] std::string source_name() const;
  /// Bytes of the weights that are used, by stored encoding.
  [[nodiscard]] Json bytes_by_encoding() const;
  /// Loaded on first use; bad_data "missing tokenizer" with the places searched, unsupported for a
  /// synthetic model.
  [[nodiscard]] const text::Tokenizer& tokenizer() const;

 private:
  void open_files(const std::filesystem::path& path);
  void open_synthetic(const SyntheticModel& model);
  void open_quantized_layers(const Json& config, const std::string& name);

  files::ModelFiles files_;
  std::shared_ptr<const files::TensorFile> tensors_;
  QuantizedCheckpoint quantized_;  ///< without a method where nothing is quantized
  models::ModelConfig config_;
  models::WeightMap weights_;
  std::optional<SyntheticModel> synthetic_;
  SyntheticTensors synthetic_tensors_;
  std::string name_;
  mutable std::unique_ptr<text::Tokenizer> tokenizer_;
};

}  // namespace assay::engine
