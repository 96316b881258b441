#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay::text {

/// SentencePiece's compiled normalization ("precompiled_charsmap"): a double-array trie of the
/// texts that are replaced, and what replaces them.
class CharacterMap {
 public:
  /// `bytes`: 32-bit little-endian size of the trie, its units, then replacements that end in zero
  /// bytes. bad_data, naming `where`, if that is not what they are.
  CharacterMap(std::string_view bytes, const std::string& where);

  /// `text` is valid UTF-8, and so is the result. As `tokenizers` does, a grapheme of under six
  /// bytes is replaced as a whole by what its shortest known beginning maps to; of any other, each
  /// character is replaced by itself.
  [[nodiscard]] std::string apply(std::string_view text) const;

 private:
  /// What the shortest known beginning of `text` maps to; nullopt if there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view text) const;
  void append_grapheme(std::string_view grapheme, std::string& out) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace assay::text
