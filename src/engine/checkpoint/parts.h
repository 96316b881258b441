#pragma once

#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "engine/checkpoint/checkpoint.h"

// What the readers of quantized checkpoints share: finding the parts of a layer, checking them, and
// replacing them by the whole.
namespace assay::engine {

class CheckpointParts {
 public:
  explicit CheckpointParts(std::shared_ptr<const files::TensorFile> file)
      : file_(std::move(file)) {}

  [[nodiscard]] const files::TensorFile& file() const { return *file_; }
  [[nodiscard]] const std::shared_ptr<const files::TensorFile>& shared_file() const {
    return file_;
  }
  [[nodiscard]] const files::StoredTensor* find(const std::string& name) const {
    return file_->find(name);
  }

  /// The tensor of this name, with this type and shape ({-1}: any); bad_data otherwise.
  [[nodiscard]] const files::StoredTensor& require(const std::string& name,
                                                   std::string_view type) const;
  [[nodiscard]] const files::StoredTensor& require(const std::string& name, std::string_view type,
                                                   const std::vector<std::int64_t>& shape) const;
  /// The same for F32, F16 or BF16.
  [[nodiscard]] const files::StoredTensor& require_float(
      const std::string& name, const std::vector<std::int64_t>& shape) const;
  [[noreturn]] void fail_tensor(const files::StoredTensor& tensor, const std::string& what) const;

  /// Replaces the parts by `whole`, which stands under its own name. The bytes of all parts but
  /// the first, which holds the codes, are counted as extra.
  void replace(files::StoredTensor whole, const std::vector<const files::StoredTensor*>& parts);

  /// Drops a tensor that says nothing more.
  void drop(const std::string& name) { used_.insert(name); }

  [[nodiscard]] bool used(const std::string& name) const { return used_.contains(name); }
  [[nodiscard]] std::size_t replaced() const { return wholes_.size(); }

  /// The file with every part replaced.
  [[nodiscard]] std::shared_ptr<const files::TensorFile> finish();

 private:
  std::shared_ptr<const files::TensorFile> file_;
  std::set<std::string, std::less<>> used_;
  std::vector<files::StoredTensor> wholes_;
};

/// The elements of a tensor as T, whatever its address; the caller has checked the type.
template <typename T>
[[nodiscard]] std::vector<T> values_of(const files::StoredTensor& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

/// The elements of an F32, F16 or BF16 tensor in f32.
[[nodiscard]] std::vector<float> floats_of(const files::StoredTensor& tensor);

/// "model.layers.0.mlp.up_proj" from the name of a part and its suffix; empty if it has another.
[[nodiscard]] inline std::string module_of(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? std::string(name.substr(0, name.size() - suffix.size())) : "";
}

// One reader per method: replaces the layers in `parts`, and says what each does.
using LayerPrecisions = std::map<std::string, precision::Precision, std::less<>>;
[[nodiscard]] LayerPrecisions read_bitsandbytes(CheckpointParts& parts, const Json& config,
                                                const std::string& source);
[[nodiscard]] LayerPrecisions read_gptq(CheckpointParts& parts, const Json& config,
                                        const std::string& source);
[[nodiscard]] LayerPrecisions read_awq(CheckpointParts& parts, const Json& config,
                                       const std::string& source);
[[nodiscard]] LayerPrecisions read_compressed_tensors(CheckpointParts& parts, const Json& config,
                                                      const std::string& source);
[[nodiscard]] LayerPrecisions read_mxfp4(CheckpointParts& parts, const Json& config,
                                         const std::string& source);

}  // namespace assay::engine
