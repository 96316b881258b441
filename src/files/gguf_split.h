#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files/tensor_file_builder.h"

namespace assay::files {

/// "<stem>-00002-of-00003.gguf", as llama.cpp's gguf-split names the parts of a file.
struct SplitName {
  std::string stem;
  std::uint32_t number = 0;  ///< from 1
  std::uint32_t count = 0;
};

/// None if the file is not named as a part.
[[nodiscard]] std::optional<SplitName> split_name(const std::filesystem::path& file);

/// The paths of all parts, in order. Whether they are there is not looked at.
[[nodiscard]] std::vector<std::filesystem::path> split_parts(const std::filesystem::path& file,
                                                             const SplitName& name);

/// Reads a GGUF file, with all parts if it is one of several (split.count > 1); any part may be
/// given. Checked: the names, split.no and split.count of each, and that there are as many tensors
/// as split.tensors.count says. Metadata is that of the first part.
[[nodiscard]] TensorFile open_gguf_with_parts(const RawFile& file);

}  // namespace assay::files
