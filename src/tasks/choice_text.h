#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace assay::tasks {

/// A question as text: everything before the choices, and what may follow it.
struct ChoiceItem {
  std::string context;
  std::vector<std::string> choices;
  int gold = 0;
  std::string group;  ///< subject; items of one group begin alike
};

/// A context and what may follow it, as token ids; neither is empty.
struct ChoiceTokens {
  std::vector<text::TokenId> context;
  std::vector<std::vector<text::TokenId>> continuations;
  int group = 0;
};

/// A context and a continuation as lm-eval splits them: white space at the end of the context moves
/// to the continuation; both together are tokenized, and the continuation is what lies behind as
/// many tokens as the context alone has. Where a token spans the border, the context keeps the
/// tokens that it has alone, so that both joined are not the tokens of the text: that is lm-eval's
/// quirk, followed here. An empty context is the BOS (or EOS) token.
/// No special tokens are added, but for a tokenizer that itself begins texts with BOS.
struct SplitPair {
  std::vector<text::TokenId> context;
  std::vector<text::TokenId> continuation;
};
[[nodiscard]] SplitPair split_pair(const text::Tokenizer& tokenizer, std::string_view context,
                                   std::string_view continuation);

/// An item with `delimiter` between context and choice. bad_data (naming `place`) for a choice
/// that adds no token.
[[nodiscard]] ChoiceTokens tokenize_item(const text::Tokenizer& tokenizer, const ChoiceItem& item,
                                         std::string_view delimiter, const std::string& place);

/// Python's str.strip and str.rstrip: Unicode white space. Valid UTF-8.
[[nodiscard]] std::string_view strip(std::string_view text);
[[nodiscard]] std::string_view strip_end(std::string_view text);
/// Number of code points of valid UTF-8: what Python's len() counts.
[[nodiscard]] std::size_t code_points(std::string_view text);

}  // namespace assay::tasks
