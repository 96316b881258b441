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

/// By the file's name: .csv (with a header, as above), .jsonl and .json (an object on each line
/// with the same names), else TSV. Errors as above.
[[nodiscard]] std::vector<LabelledText> read_labelled(const std::filesystem::path& path);

/// A labelled sequence of token ids.
struct LabelledTokens {
  std::vector<int> ids;
  int label = 0;
};

/// Pre-tokenized data: a folder with input_ids, attention_mask and labels, each as .pt, .npy or
/// .safetensors, or one file that holds the three as tensors. Ids and mask are [n, length], labels
/// [n], all integers; where the mask is 0 the position is padding and left out, and a missing mask
/// keeps all. Errors: bad_data naming the file for a missing tensor, shapes that do not fit, a row
/// without a token, values outside 32 bits.
[[nodiscard]] std::vector<LabelledTokens> read_labelled_tokens(const std::filesystem::path& path);

/// The same without labels, which need not be there.
[[nodiscard]] std::vector<std::vector<int>> read_token_rows(const std::filesystem::path& path);

/// Whether `path` is for read_labelled_tokens: a folder, or a file of tensors by its extension.
[[nodiscard]] bool is_pretokenized(const std::filesystem::path& path);

}  // namespace assay::files
