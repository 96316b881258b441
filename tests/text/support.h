#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/scratch_folder.h"
#include "text/tokenizer.h"

namespace assay::text {

using testing::expect_error;
using testing::ScratchFolder;
using Ids = std::vector<TokenId>;

inline std::filesystem::path golden_file(const std::string& name) {
  return std::filesystem::path(ASSAY_GOLDEN_DIR) / "text" / name;
}

/// The file or folder that an environment variable names; empty if it is not there.
inline std::filesystem::path real_model(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || !std::filesystem::exists(value)) return {};
  return value;
}

/// A tokenizer made from JSON by way of a file.
inline std::unique_ptr<Tokenizer> from_json(const Json& json) {
  const ScratchFolder folder;
  return load_tokenizer_json(folder.write("tokenizer.json", json.dump()));
}

/// A tokenizer.json of byte-level BPE: all 256 bytes, then what `merges` makes.
Json byte_level_json(const std::vector<std::pair<std::string, std::string>>& merges);

/// A tokenizer.json of BERT's kind with a small vocabulary: special tokens first.
Json wordpiece_json(const std::vector<std::string>& pieces);

}  // namespace assay::text
