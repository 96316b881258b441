#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay::files {

/// A labelled text of a classification data set.
struct LabelledText {
  std::string text;
  int label = 0;
};

/// TSV with a header line that names a text column (sentence, text) and `label`. Errors: bad_data
/// with file and line.
[[nodiscard]] std::vector<LabelledText> read_labelled_tsv(const std::filesystem::path& path);

}  // namespace assay::files
