#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay::tasks {

/// Parquet files that become one JSONL file, or several: divided by the column `by`, whose value
/// takes the place of "{}" in the output's name.
struct ParquetJob {
  std::vector<std::filesystem::path> inputs;
  std::string output;  ///< within the folder
  std::string by = {};
};

/// Runs the jobs by the Python package (python/assay/parquet.py, with pyarrow) unless `folder`
/// holds their results already, and returns `folder`. The interpreter is $ASSAY_PYTHON or python3.
/// Errors: unsupported, with what to do, where the reader is missing; bad_data where it fails; io.
std::filesystem::path convert_parquet(const std::vector<ParquetJob>& jobs,
                                      const std::filesystem::path& folder);

}  // namespace assay::tasks
