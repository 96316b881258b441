#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "precision/encoding.h"

namespace assay::files {

/// One tensor as a file stores it, checked against the file's size. `shape` is row-major (GGUF's
/// reversed order is undone here). Tensors that are no weights (position_ids and other integers)
/// and those of types that cannot be decoded here (Q4_K, F8_E4M3) have `is_weight == false`, and
/// their `encoding` says nothing.
struct StoredTensor {
  std::string name;
  std::string type;  ///< as the file names it: "F16", "Q4_1", "I64"
  bool is_weight = true;
  precision::Encoding encoding = precision::Encoding::f32;
  std::vector<std::int64_t> shape;
  std::uint32_t part = 0;    ///< the file that holds it, of TensorFile::parts
  std::uint64_t offset = 0;  ///< of the first byte, in that file
  std::span<const std::byte> bytes;
  /// Puts a weight together that the file stores as several tensors; `bytes` are then its codes.
  std::function<precision::EncodedTensor()> assemble = nullptr;
  std::uint64_t extra_bytes = 0;  ///< of the other tensors that it is put together from
};

/// A model file of any format, or one whose tensors are spread over several files: its tensors by
/// name and its metadata. Headers are read and checked at open; nothing proportional to a claimed
/// number is allocated; weights are only mapped.
class TensorFile {
 public:
  /// "safetensors", "gguf", "torch", "synthetic"
  [[nodiscard]] std::string_view format() const { return format_; }
  /// The file that was opened: of several, the index or the first part.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The files that hold the tensors; one, unless they are spread over several.
  [[nodiscard]] const std::vector<std::filesystem::path>& parts() const { return parts_; }
  [[nodiscard]] const std::vector<StoredTensor>& tensors() const { return tensors_; }
  [[nodiscard]] const StoredTensor* find(std::string_view name) const;
  /// GGUF: all keys (arrays as JSON arrays). safetensors: "__metadata__". torch: what is no tensor
  [[nodiscard]] const Json& metadata() const { return metadata_; }

  /// The tensor as a borrowed EncodedTensor of shape [rows, cols] (1-d: [1, n]; n-d: the last
  /// dimension is cols). Keeps the mapping alive; copies where the file misaligns the elements.
  /// bad_data, with tensor and type, if it is not a weight.
  [[nodiscard]] precision::EncodedTensor encoded(const StoredTensor& tensor) const;
  /// A tensor's bytes, which keep the mapping alive.
  [[nodiscard]] precision::SharedBytes shared(const StoredTensor& tensor) const {
    return {owner_, tensor.bytes};
  }

  /// Tensors that no file holds: each has `assemble`, and what it will take stands in
  /// `extra_bytes`. `name` stands for the file in messages; the format is "synthetic".
  [[nodiscard]] static TensorFile synthetic(const std::string& name,
                                            std::vector<StoredTensor> tensors);

  /// The same file with these tensors in place of its own (quantized layers put together); their
  /// names must differ.
  [[nodiscard]] TensorFile with_tensors(std::vector<StoredTensor> tensors) const;

 private:
  friend class TensorFileBuilder;
  friend class PartsMerger;
  std::string format_;
  std::filesystem::path path_;
  std::vector<std::filesystem::path> parts_;
  std::shared_ptr<const void> owner_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::size_t> by_name_;  ///< indices of tensors_, sorted by name
  Json metadata_;
};

/// By content, not by extension, but for an index of shards (*.index.json), which opens all of
/// them. Errors: bad_data (file, field, position), io.
[[nodiscard]] TensorFile open_tensor_file(const std::filesystem::path& path);

[[nodiscard]] TensorFile open_safetensors(const std::filesystem::path& path);
[[nodiscard]] TensorFile open_gguf(const std::filesystem::path& path);

/// What is in a folder or behind a file: the files of the weights, and for Hugging Face folders the
/// paths of config.json, tokenizer.json, vocab.txt, tokenizer_config.json (empty where absent).
struct ModelFiles {
  std::filesystem::path root;
  std::filesystem::path weights;              ///< one file; of several, the index or the first
  std::vector<std::filesystem::path> shards;  ///< the others, where there are several
  std::filesystem::path config;
  std::filesystem::path tokenizer;
  std::filesystem::path vocab;
  std::filesystem::path tokenizer_config;
};

/// Accepts a weights file or the index of several (its folder is searched for the rest), or a
/// folder with config.json and model.safetensors, pytorch_model.bin or the .index.json of either;
/// or a folder with one .gguf file or one set of split ones. Any part of a set stands for the set.
/// Errors say what is missing and where it was looked for. Only `weights` is sure to be there; for
/// GGUF the companions stay empty.
[[nodiscard]] ModelFiles locate_model(const std::filesystem::path& path);

/// SHA-256 over the content of all files of a model, wherever they lie; cached by device, inode,
/// size and times in the folder $ASSAY_CACHE, $XDG_CACHE_HOME/assay or ~/.cache/assay. A cache that
/// cannot be used is no error. `progress` hears the fraction of bytes read. Errors: io,
/// interrupted.
[[nodiscard]] std::string content_hash(const ModelFiles& files,
                                       const base::ProgressSink& progress = {});
/// SHA-256 of one file's bytes, cached in the same way.
[[nodiscard]] std::string content_hash(const std::filesystem::path& file,
                                       const base::ProgressSink& progress = {});

}  // namespace assay::files
