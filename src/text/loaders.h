#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "text/pipeline.h"

// The public loaders before their last step, so that more can be known about the tokens than the
// one file says. Errors as in tokenizer.h.
namespace assay::text {

[[nodiscard]] TokenizerParts parts_from_json(const std::filesystem::path& file);
[[nodiscard]] TokenizerParts parts_from_vocab(const std::filesystem::path& file,
                                              const BertNormalizer& normalizer);
[[nodiscard]] TokenizerParts parts_from_gguf(const Json& metadata, const std::string& file);

/// What a tokenizer_config.json says beyond the tokenizer itself.
struct TokenizerConfig {
  BertNormalizer normalizer;
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  std::optional<std::string> pad;
};
/// Unknown keys are no error here: the file holds much that is not about ids.
[[nodiscard]] TokenizerConfig read_tokenizer_config(const std::filesystem::path& file);

}  // namespace assay::text
