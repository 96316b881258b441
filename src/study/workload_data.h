#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/model.h"

namespace assay::study {

using Samples = std::vector<std::vector<engine::TokenId>>;

/// Real samples for a workload, from a file or folder: pre-tokenized tensors (files/table_file.h),
/// the texts of a labelled table
/// (.tsv, .csv, .jsonl, .json), else text, each line that is not empty a sample; of a folder all
/// files in order. bad_data where there is no sample, or where an id is not in the vocabulary.
[[nodiscard]] Samples read_workload_data(const std::filesystem::path& path,
                                         const engine::ModelSource& source);

}  // namespace assay::study
