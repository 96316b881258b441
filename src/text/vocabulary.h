#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace assay::text {

struct VocabularyEntry {
  std::string piece;
  TokenId id = 0;
};

/// Pieces and ids, both ways. An empty piece (some files have them) keeps its id and is never
/// found.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// bad_data, naming `where` and the entry: a negative id, an id far above the number of entries,
  /// two pieces with one id, one piece with two ids, no entries.
  Vocabulary(std::vector<VocabularyEntry> entries, const std::string& where);
  // The lookup table points into the pieces.
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  [[nodiscard]] std::optional<TokenId> find(std::string_view piece) const;
  /// The piece of `id`, nullptr where there is none.
  [[nodiscard]] const std::string* piece(TokenId id) const;
  /// Highest id plus one.
  [[nodiscard]] std::size_t size() const { return pieces_.size(); }
  [[nodiscard]] std::size_t longest_piece() const { return longest_; }

 private:
  std::vector<std::string> pieces_;
  std::vector<bool> present_;
  std::unordered_map<std::string_view, TokenId> ids_;
  std::size_t longest_ = 0;
};

/// Ids may leave holes, but a vocabulary whose highest id is far above its number of entries is
/// refused, since tables are as long as the highest id. `id` came from the file as any integer.
[[nodiscard]] TokenId checked_id(std::int64_t id, std::size_t entries, const std::string& where);

}  // namespace assay::text
