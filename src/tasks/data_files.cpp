#include "tasks/data_files.h"

#include <algorithm>

#include "base/yaml.h"

namespace assay::tasks {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 1;  // MMLU's splits are folders of the folder

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const bool hidden = entry->path().filename().string().starts_with('.');
    if (hidden || entry.depth() >= kDeepest) entry.disable_recursion_pending();
    if (!hidden && entry->is_regular_file(error)) files.push_back(entry->path());
  }
  if (error) fail(ErrorCode::io, "{}: cannot be read: {}", folder.string(), error.message());
  if (files.empty()) fail(ErrorCode::bad_data, "{}: there is no file in it", folder.string());
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::vector<fs::path> data_files(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return files_of(path);
  if (!fs::exists(path, error)) fail(ErrorCode::io, "{}: is not there", path.string());
  std::vector<fs::path> files = {path};
  if (path.extension() == ".yaml" || path.extension() == ".yml") {
    const auto document = base::read_yaml(path);
    if (document.value.is_object() && document.value.contains("file") &&
        document.value.at("file").is_string()) {
      files.push_back(path.parent_path() / document.value.at("file").get<std::string>());
    }
  }
  return files;
}

}  // namespace assay::tasks
