#pragma once

#include <filesystem>
#include <string_view>

namespace assay::fuzz {

/// A file that lies in memory, for readers that take a path. One for the process; each call gives
/// it another content. It has no name in any folder.
[[nodiscard]] std::filesystem::path file_in_memory(std::string_view content);

}  // namespace assay::fuzz
