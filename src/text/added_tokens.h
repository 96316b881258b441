#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/normalizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace assay::text {

/// A token that is found in the text before anything else happens to it; flags as in
/// tokenizer.json.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      ///< left out of decoded text; found only when special ones are parsed
  bool single_word = false;  ///< not next to a word character
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space behind it
  bool normalized = false;   ///< looked for in the normalized text, in its own normalized form
};

/// Which of several overlapping occurrences counts.
enum class MatchOrder {
  leftmost_longest,  ///< the first in the text, the longest of these (tokenizer.json)
  longest_first      ///< the longest anywhere, then the next (llama.cpp)
};

/// A part of a text: an added token, or text in between.
struct Segment {
  Range range;
  std::optional<TokenId> id;
};

/// Finds a set of strings in a text.
class TokenMatcher {
 public:
  struct Pattern {
    std::string content;
    std::size_t token = 0;  ///< index into the list of added tokens
  };
  TokenMatcher() = default;
  explicit TokenMatcher(std::vector<Pattern> patterns);

  [[nodiscard]] bool empty() const { return patterns_.empty(); }
  /// Calls accept(pattern) for every pattern that matches at `position`, shortest first.
  template <typename Accept>
  void matches_at(std::string_view text, std::size_t position, Accept&& accept) const;

 private:
  [[nodiscard]] Range narrow(Range range, std::size_t depth, char byte) const;
  std::vector<Pattern> patterns_;  ///< sorted by content
  std::bitset<256> first_bytes_;
};

/// All added tokens of a tokenizer.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// bad_data, naming `where` and the entry: empty or overlong content, duplicate content or id.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer, MatchOrder order,
              const std::string& where);
  // The lookup tables point into the tokens.
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;

  /// Splits raw text at the tokens that are not `normalized`, or normalized text at those that are.
  /// Where special tokens are not parsed, they are text.
  [[nodiscard]] std::vector<Segment> split(std::string_view text, bool normalized,
                                           bool parse_special) const;

  [[nodiscard]] const AddedToken* find(TokenId id) const;
  [[nodiscard]] const AddedToken* find(std::string_view content) const;
  [[nodiscard]] std::size_t size() const { return tokens_.size(); }
  [[nodiscard]] const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  struct Occurrence {
    Range range;
    std::size_t token = 0;
  };
  [[nodiscard]] std::vector<Occurrence> leftmost(std::string_view text, const TokenMatcher& matcher,
                                                 bool parse_special) const;
  [[nodiscard]] std::vector<Occurrence> longest(std::string_view text, const TokenMatcher& matcher,
                                                bool parse_special) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  std::unordered_map<std::string_view, std::size_t> by_content_;
  TokenMatcher raw_;
  TokenMatcher normalized_;
  MatchOrder order_ = MatchOrder::leftmost_longest;
};

}  // namespace assay::text
