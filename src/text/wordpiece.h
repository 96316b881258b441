#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/vocabulary.h"

namespace assay::text {

struct WordPieceOptions {
  std::string unknown = "[UNK]";
  std::string continuing_prefix = "##";
  std::size_t max_input_chars_per_word = 100;
};

/// Greedy longest match from the left; a word with a part that matches nothing, or with more than
/// max_input_chars_per_word code points, is one unknown token.
class WordPiece {
 public:
  /// `vocabulary` must outlive this object. bad_data if the unknown token is not in it or the
  /// limit is beyond reason.
  WordPiece(const Vocabulary& vocabulary, const WordPieceOptions& options,
            const std::string& where);

  /// Appends the ids of one word (valid UTF-8, not empty).
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  const Vocabulary* vocabulary_;
  std::unordered_map<std::string_view, TokenId> continuing_;  ///< without their prefix
  std::size_t longest_ = 0;
  std::size_t max_chars_;
  TokenId unknown_ = 0;
};

}  // namespace assay::text
