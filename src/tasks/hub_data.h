#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace assay::tasks {

/// A data set of the hub as a task reads it.
struct HubData {
  std::filesystem::path path;  ///< file or folder that the task is given
  std::string repo;            ///< "Rowan/hellaswag"
  std::string revision;        ///< commit
};

/// sst2, hellaswag and mmlu have one.
[[nodiscard]] bool has_hub_data(std::string_view task);

/// The data set that stands for a task without a file, at the pinned revision or another one
/// (commit, branch or tag), in the Hugging Face cache; nothing is downloaded. JSONL, CSV and TSV
/// are taken from the snapshot; Parquet is brought to JSONL once, by the Python package with
/// pyarrow, in the folder of files::own_cache_folder(). Errors: io saying which path was looked
/// for; bad_data for a snapshot without the split; unsupported saying what to do where Parquet
/// cannot be read.
[[nodiscard]] HubData find_hub_data(const std::string& task, const std::string& revision = {});

}  // namespace assay::tasks
