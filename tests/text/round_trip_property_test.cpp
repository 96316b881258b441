// Byte-level BPE loses nothing, whatever the text: RapidCheck chooses it and shrinks what fails.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "text/support.h"
#include "text/unicode.h"

namespace assay::text {
namespace {

/// Text of any code points but surrogates.
std::string any_text() {
  const auto points = *rc::gen::container<std::vector<std::uint32_t>>(
      rc::gen::suchThat(rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(1, 0x80),
                                       rc::gen::inRange<std::uint32_t>(0x80, 0x3000),
                                       rc::gen::inRange<std::uint32_t>(0x3000, 0x110000)),
                        [](std::uint32_t c) { return c < 0xD800 || c > 0xDFFF; }));
  std::string text;
  for (const std::uint32_t c : points) append_utf8(text, c);
  return text;
}

RC_GTEST_PROP(ByteLevelProperty, DecodingUndoesEncoding, ()) {
  static const auto tokenizer = load_tokenizer_json(golden_file("bpe_tokenizer.json"));
  const std::string text = any_text();
  RC_ASSERT(tokenizer->decode(tokenizer->encode(text, {.add_special = false}), false) == text);
}

RC_GTEST_PROP(ByteLevelProperty, EveryIdIsInTheVocabulary, ()) {
  static const auto tokenizer = load_tokenizer_json(golden_file("bpe_tokenizer.json"));
  for (const TokenId id : tokenizer->encode(any_text())) {
    RC_ASSERT(id >= 0);
    RC_ASSERT(static_cast<std::size_t>(id) < tokenizer->vocabulary_size());
  }
}

}  // namespace
}  // namespace assay::text
