#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include "text/support.h"

namespace assay::text {
namespace {

// Ids of wordpiece_json: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, then the pieces from 4.
const std::vector<std::string> kPieces = {"un", "##aff", "##able", "hello", ",",
                                          "'",  "s",     "é",      "中"};

TEST(WordPieceTokenizer, FindsTheLongestPieces) {
  const auto tokenizer = from_json(wordpiece_json(kPieces));
  EXPECT_EQ(tokenizer->encode("Unaffable, HÉLLO"), (Ids{2, 4, 5, 6, 8, 7, 3}));
  EXPECT_EQ(tokenizer->encode("unaffab"), (Ids{2, 1, 3}));
  EXPECT_EQ(tokenizer->encode("中中", {.add_special = false}), (Ids{12, 12}));
  EXPECT_EQ(tokenizer->encode(""), (Ids{2, 3}));
  EXPECT_EQ(tokenizer->encode(std::string(3'000'000, 'a')), (Ids{2, 1, 3}));
}

TEST(WordPieceTokenizer, DecodesWithCleanUp) {
  const auto tokenizer = from_json(wordpiece_json(kPieces));
  EXPECT_EQ(tokenizer->decode(Ids{2, 4, 5, 6, 8, 7, 3}), "unaffable, hello");
  EXPECT_EQ(tokenizer->decode(Ids{2, 7, 3}, false), "[CLS] hello [SEP]");
  EXPECT_EQ(tokenizer->decode(Ids{7, 9999, -1}), "hello");
}

TEST(Tokenizer, TruncatesAndKeepsSpecialTokens) {
  const auto tokenizer = from_json(wordpiece_json(kPieces));
  EXPECT_EQ(tokenizer->encode("unaffable hello", {.max_length = 4}), (Ids{2, 4, 5, 3}));
  EXPECT_EQ(tokenizer->encode("unaffable hello", {.add_special = false, .max_length = 4}),
            (Ids{4, 5, 6, 7}));
  EXPECT_EQ(tokenizer->encode("unaffable hello", {.max_length = 2}), (Ids{2, 3}));
  EXPECT_EQ(tokenizer->encode("unaffable hello", {.max_length = 1}), (Ids{2}));
  EXPECT_EQ(tokenizer->encode("hello", {.max_length = 100}), (Ids{2, 7, 3}));
}

TEST(Tokenizer, SpecialTokensInTheTextAreTextUnlessParsed) {
  const auto tokenizer = from_json(wordpiece_json({"[", "]", "sep"}));
  EXPECT_EQ(tokenizer->encode("[SEP]", {.add_special = false}), (Ids{4, 6, 5}));
  EXPECT_EQ(tokenizer->encode("[SEP]", {.add_special = false, .parse_special = true}), (Ids{3}));
}

TEST(Tokenizer, LooksUpBothWays) {
  Json json = wordpiece_json(kPieces);
  json["added_tokens"].push_back({{"id", 20}, {"content", "<new>"}, {"special", false}});
  const auto tokenizer = from_json(json);
  EXPECT_EQ(tokenizer->id_of("##aff"), 5);
  EXPECT_EQ(tokenizer->id_of("<new>"), 20);
  EXPECT_EQ(tokenizer->id_of("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer->token(20), "<new>");
  EXPECT_EQ(tokenizer->token(19), "");
  EXPECT_EQ(tokenizer->vocabulary_size(), 21u);
  EXPECT_EQ(tokenizer->pad(), 0);
  EXPECT_EQ(tokenizer->encode("hello<new>un"), (Ids{2, 7, 20, 4, 3}));
  expect_error(ErrorCode::usage, {"21"}, [&] { static_cast<void>(tokenizer->token(21)); });
}

TEST(Tokenizer, VocabTxt) {
  const ScratchFolder folder;
  const auto file = folder.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nhe\r\n##y");
  const auto tokenizer = load_wordpiece_vocab(file, true);
  EXPECT_EQ(tokenizer->encode("HEY"), (Ids{2, 4, 5, 3}));
  EXPECT_EQ(load_wordpiece_vocab(file, false)->encode("HEY"), (Ids{2, 1, 3}));
}

TEST(Tokenizer, ConfigNamesTokensAndCase) {
  const ScratchFolder folder;
  files::ModelFiles files;
  files.vocab = folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhe\nHe\nÉ");
  files.tokenizer_config = folder.write(
      "tokenizer_config.json",
      R"({"do_lower_case": false, "bos_token": "[CLS]", "eos_token": {"content": "[SEP]"}})");
  const auto tokenizer = load_tokenizer(files);
  EXPECT_EQ(tokenizer->encode("He É", {.add_special = false}), (Ids{5, 6}));
  EXPECT_EQ(tokenizer->bos(), 2);
  EXPECT_EQ(tokenizer->eos(), 3);
  EXPECT_EQ(tokenizer->pad(), 0);
}

TEST(Tokenizer, MissingSaysWhereItWasLookedFor) {
  files::ModelFiles files;
  files.root = "some/model";
  expect_error(ErrorCode::bad_data,
               {"some/model", "missing tokenizer", "tokenizer.json", "vocab.txt"},
               [&] { static_cast<void>(load_tokenizer(files)); });
}

}  // namespace
}  // namespace assay::text
