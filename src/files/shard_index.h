#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "files/tensor_file.h"

namespace assay::files {

/// An entry of an index's weight_map.
struct ShardedName {
  std::string tensor;
  std::size_t file = 0;        ///< of ShardIndex::files
  std::uint64_t position = 0;  ///< of the tensor's name, in the index
};

/// model.safetensors.index.json: which file holds which tensor.
struct ShardIndex {
  std::vector<std::string> files;  ///< sorted, each once; plain names, beside the index
  std::vector<ShardedName> names;
};

/// True for the name of such an index, whatever the file holds.
[[nodiscard]] bool is_shard_index(const std::filesystem::path& path);

/// bad_data with file, field and position where the index is malformed, empty, names a tensor twice
/// or names a file with a path.
[[nodiscard]] ShardIndex read_shard_index(const std::filesystem::path& path);

/// The files that an index names, with the index's folder.
[[nodiscard]] std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& index);

/// All tensors of the files that an index names. Every name of weight_map must be in the file it
/// gives; a tensor that no entry names is there too. Metadata is that of the first file.
[[nodiscard]] TensorFile open_sharded(const std::filesystem::path& index);

}  // namespace assay::files
