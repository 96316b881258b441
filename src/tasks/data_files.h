#pragma once

#include <filesystem>
#include <vector>

namespace assay::tasks {

/// Every file whose content a task reads when it is given `path`, in a fixed order: the file
/// itself, the files of a folder (two levels deep, hidden ones left out), and for a YAML map of
/// fields also the file that it maps. io error if `path` is not there, bad_data for a folder
/// without files.
[[nodiscard]] std::vector<std::filesystem::path> data_files(const std::filesystem::path& path);

}  // namespace assay::tasks
