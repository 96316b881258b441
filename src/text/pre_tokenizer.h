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

using PreTokenizerStep = std::variant<SplitStep, DigitsStep, BertStep, PrefixSpaceStep>;
using PreTokenizer = std::vector<PreTokenizerStep>;

/// Parts of one text, in order, not overlapping; what lies between them is dropped.
struct Pieces {
  explicit Pieces(std::string whole) : text(std::move(whole)) {
    if (!text.empty()) ranges.push_back({0, text.size()});
  }
  std::string text;
  std::vector<Range> ranges;
};

/// Applies the steps in turn; each sees one piece at a time, so that no pattern looks beyond it.
void pre_tokenize(const PreTokenizer& steps, Pieces& pieces);

/// GPT-2's pattern, also that of the ByteLevel pre-tokenizer.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace assay::text
