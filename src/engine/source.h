#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/config.h"
#include "text/tokenizer.h"

namespace assay::engine {

/// A model on disk, opened and checked but not loaded: files, config, weight map. Shared, immutable.
class ModelSource {
 public:
  /// Errors: bad_data (unknown architecture, malformed file, missing tensor), io.
  [[nodiscard]] static std::shared_ptr<const ModelSource> open(const std::filesystem::path& path);

  [[nodiscard]] const files::ModelFiles& files() const { return files_; }
  [[nodiscard]] const files::TensorFile& tensors() const { return *tensors_; }
  [[nodiscard]] const models::ModelConfig& config() const { return config_; }
  [[nodiscard]] const models::WeightMap& weights() const { return weights_; }
  [[nodiscard]] std::vector<precision::LayerInfo> layers() const;
  /// "SmolLM2-135M-Instruct" from metadata or the file's or folder's name.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::int64_t parameters() const;
  /// Encoding that holds most of the weights ("q4_1", "f32"), and whether it is a quantized one.
  [[nodiscard]] precision::Encoding dominant_encoding() const;
  /// Bytes of weights by stored encoding.
  [[nodiscard]] Json bytes_by_encoding() const;
  [[nodiscard]] std::string content_hash() const;
  /// Loaded on first use; bad_data "missing tokenizer" with the places searched.
  [[nodiscard]] const text::Tokenizer& tokenizer() const;

 private:
  files::ModelFiles files_;
  std::shared_ptr<const files::TensorFile> tensors_;
  models::ModelConfig config_;
  models::WeightMap weights_;
  std::string name_;
  mutable std::unique_ptr<text::Tokenizer> tokenizer_;
};

}  // namespace assay::engine
