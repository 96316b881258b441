#pragma once

#include "files/tensor_file_builder.h"

namespace assay::files {

/// Errors: io with the path.
[[nodiscard]] RawFile map_file(const std::filesystem::path& path);

/// True if `text` stands at byte `at`.
[[nodiscard]] bool starts_with(const RawFile& file, std::string_view text, std::size_t at = 0);

/// Reads one file that holds tensors, by content; never goes on to other files.
[[nodiscard]] TensorFile read_single_file(const RawFile& file);

}  // namespace assay::files
