#pragma once

#include <span>
#include <string_view>

namespace assay::text {

/// What a name in tokenizer.ggml.pre stands for: the file holds the name alone.
struct GgufPattern {
  std::span<const std::string_view> patterns;  ///< applied in turn, in tokenizer.json's dialect
  bool ignore_merges = false;
  bool add_bos = false;  ///< where the file has no add_bos_token
};

/// nullptr for a name that is not in the table.
[[nodiscard]] const GgufPattern* find_gguf_pattern(std::string_view name);

}  // namespace assay::text
