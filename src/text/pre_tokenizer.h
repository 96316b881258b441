#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/regex.h"
#include "text/unicode.h"

namespace assay::text {

/// What becomes of the matches of a splitting step; names as in tokenizer.json.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Splits at the matches of a pattern, or with `invert` at what lies between them.
struct SplitStep {
  std::shared_ptr<const Regex> pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;
};

/// Splits off digits (category N), one by one or as whole numbers.
struct DigitsStep {
  bool individual = false;
};

/// Drops white space and makes every punctuation character a piece.
struct BertStep {};

/// Puts a space before every piece that does not start with one.
struct PrefixSpaceStep {};

/// Spaces become `replacement`, and one is put before the text; with `split` each starts a piece.
struct MetaspaceStep {
  enum class Prepend { always, first, never };  ///< before every piece, or that at the text's start
  char32_t replacement = U'\u2581';
  Prepend prepend = Prepend::always;
  bool split = true;
};

/// Bytes become the characters that stand for them.
struct ByteLevelStep {};

/// Punctuation and symbols of ASCII, and category P.
struct PunctuationStep {
  SplitBehavior behavior = SplitBehavior::isolated;
};

/// Drops white space; what is left may be cut between words and the rest.
struct WhiteSpaceStep {
  bool cut_words = false;
};

/// Drops a character.
struct DelimiterStep {
  char32_t delimiter = 0;
};

using PreTokenizerStep =
    std::variant<SplitStep, DigitsStep, BertStep, PrefixSpaceStep, MetaspaceStep, ByteLevelStep,
                 PunctuationStep, WhiteSpaceStep, DelimiterStep>;
using PreTokenizer = std::vector<PreTokenizerStep>;

/// Parts of one text, in order, not overlapping; what lies between them is dropped.
struct Pieces {
  explicit Pieces(std::string whole, bool starts_text = true)
      : text(std::move(whole)), at_start(starts_text) {
    if (!text.empty()) ranges.push_back({0, text.size()});
  }
  std::string text;
  bool at_start = true;  ///< no added token stands before
  std::vector<Range> ranges;
};

/// Applies the steps in turn; each sees one piece at a time, so that no pattern looks beyond it.
void pre_tokenize(const PreTokenizer& steps, Pieces& pieces);

/// GPT-2's pattern, also that of the ByteLevel pre-tokenizer.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace assay::text
