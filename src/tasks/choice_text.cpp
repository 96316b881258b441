#include "tasks/choice_text.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace assay::tasks {
namespace {

/// Python counts the four information separators as white space, Unicode does not.
bool is_python_space(char32_t c) {
  return text::is_white_space(c) || (c >= U'\x1c' && c <= U'\x1f');
}

/// Ids as lm-eval's tok_encode gives them for causal models: without special tokens. A tokenizer
/// that begins every text with BOS (Llama) keeps it, as `add_bos_token` does there.
std::vector<text::TokenId> ids_of(const text::Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special = false});
}

text::TokenId first_token(const text::Tokenizer& tokenizer) {
  if (tokenizer.bos()) return *tokenizer.bos();
  if (tokenizer.eos()) return *tokenizer.eos();
  fail(ErrorCode::bad_data,
       "an empty context needs a BOS or EOS token, this tokenizer has neither");
}

}  // namespace

std::string_view strip_end(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t at = end;
    if (!is_python_space(text::previous_code_point(text, at))) break;
    end = at;
  }
  return text.substr(0, end);
}

std::string_view strip(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t at = begin;
    if (!is_python_space(text::next_code_point(text, at))) break;
    begin = at;
  }
  return strip_end(text.substr(begin));
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

SplitPair split_pair(const text::Tokenizer& tokenizer, std::string_view context,
                     std::string_view continuation) {
  if (context.empty()) {
    SplitPair pair{.context = {first_token(tokenizer)},
                   .continuation = ids_of(tokenizer, continuation)};
    if (!pair.continuation.empty() && pair.continuation.front() == pair.context.front()) {
      pair.continuation.erase(pair.continuation.begin());
    }
    return pair;
  }
  const std::string_view kept = strip_end(context);
  SplitPair pair{.context = ids_of(tokenizer, kept), .continuation = {}};
  auto whole = ids_of(tokenizer, std::string(context) + std::string(continuation));
  const std::size_t skipped = std::min(pair.context.size(), whole.size());
  pair.continuation.assign(whole.begin() + static_cast<std::ptrdiff_t>(skipped), whole.end());
  return pair;
}

ChoiceTokens tokenize_item(const text::Tokenizer& tokenizer, const ChoiceItem& item,
                           std::string_view delimiter, const std::string& place) {
  ChoiceTokens tokens;
  for (std::size_t c = 0; c < item.choices.size(); ++c) {
    auto pair = split_pair(tokenizer, item.context, std::string(delimiter) + item.choices[c]);
    if (pair.continuation.empty() || pair.context.empty()) {
      fail(ErrorCode::bad_data, "{}: choice {} adds no token to its question", place, c + 1);
    }
    tokens.context = std::move(pair.context);
    tokens.continuations.push_back(std::move(pair.continuation));
  }
  return tokens;
}

}  // namespace assay::tasks
