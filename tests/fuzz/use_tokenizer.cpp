#include "fuzz/use_tokenizer.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace assay::fuzz {

namespace {

using namespace std::string_view_literals;

constexpr std::array kTexts = {""sv,
                               "Hello, world! It's 12345 o'clock.\n\n  x = y\r\n\t"sv,
                               "Üb\xcc\x88"
                               "er 中文 👩‍💻 ﬁ"sv,
                               "\xff\xc3(\xed\xa0\x80\0end"sv,
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ab ba abab    "sv,
                               "<s>[CLS] <|endoftext|> ▁lower lowest</s>"sv};

void check_ids(const text::Tokenizer& tokenizer, const std::vector<text::TokenId>& ids) {
  const auto size = static_cast<std::int64_t>(tokenizer.vocabulary_size());
  const auto wrong = [&](text::TokenId id) { return id < 0 || id >= size; };
  if (std::ranges::any_of(ids, wrong)) throw std::logic_error("an id beyond the vocabulary");
}

}  // namespace

void use_tokenizer(const text::Tokenizer& tokenizer) {
  for (const std::string_view text : kTexts) {
    for (const bool special : {false, true}) {
      static_cast<void>(tokenizer.encode(text, {.add_special = special, .file_lengths = true}));
      const auto ids = tokenizer.encode(text, {special, special, special ? 7U : 0U});
      if (special && ids.size() > 7) throw std::logic_error("more ids than max_length");
      check_ids(tokenizer, ids);
      static_cast<void>(tokenizer.decode(ids, special));
    }
  }
  std::size_t bytes = 0;
  for (std::size_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const std::string piece = tokenizer.token(static_cast<text::TokenId>(id));
    bytes += piece.size() + (tokenizer.id_of(piece) ? 1 : 0);
  }
  const std::array last = {static_cast<text::TokenId>(tokenizer.vocabulary_size()) - 1};
  if (tokenizer.vocabulary_size() > 0) static_cast<void>(tokenizer.decode(last));
}

}  // namespace assay::fuzz
