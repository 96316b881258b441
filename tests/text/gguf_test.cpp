// Tokenizers from GGUF metadata, given as the plain data that the reader of the file returns.
#include <gtest/gtest.h>

#include "text/loaders.h"
#include "text/support.h"

namespace assay::text {
namespace {

/// All bytes, then <s> 256, </s> 257, <user> 258, "ab" 259, "abc" 260, "12" 261, "123" 262.
Json sample() {
  Json tokens = Json::array();
  Json types = Json::array();
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    tokens.push_back(bytes_to_piece({&one, 1}));
    types.push_back(1);
  }
  const std::vector<std::pair<const char*, int>> more = {
      {"<s>", 3}, {"</s>", 3}, {"<user>", 4}, {"ab", 1}, {"abc", 1}, {"12", 1}, {"123", 1}};
  for (const auto& [piece, type] : more) {
    tokens.push_back(piece);
    types.push_back(type);
  }
  return {{"tokenizer.ggml.model", "gpt2"},
          {"tokenizer.ggml.pre", "gpt-2"},
          {"tokenizer.ggml.tokens", tokens},
          {"tokenizer.ggml.token_type", types},
          {"tokenizer.ggml.merges", {"a b", "ab c", "1 2", "12 3"}},
          {"tokenizer.ggml.bos_token_id", 256},
          {"tokenizer.ggml.eos_token_id", 257}};
}

std::unique_ptr<Tokenizer> make(const Json& metadata) {
  return make_tokenizer(parts_from_gguf(metadata, "model.gguf"));
}

TEST(GgufTokenizer, ReadsThePlainKind) {
  const auto tokenizer = make(sample());
  EXPECT_TRUE(tokenizer->warnings().empty());
  EXPECT_EQ(tokenizer->encode("abc 123"), (Ids{260, ' ' + 0, 262}));
  EXPECT_EQ(tokenizer->bos(), 256);
  EXPECT_EQ(tokenizer->eos(), 257);
  EXPECT_EQ(tokenizer->pad(), std::nullopt);
}

TEST(GgufTokenizer, ControlTokensAreParsedOnRequestUserDefinedOnesAlways) {
  const auto tokenizer = make(sample());
  EXPECT_EQ(tokenizer->encode("<s><user>", {.parse_special = true}), (Ids{256, 258}));
  EXPECT_EQ(tokenizer->encode("<s><user>"), (Ids{'<', 's', '>', 258}));
  EXPECT_EQ(tokenizer->decode(Ids{256, 259, 258, 257}), "ab<user>");
  EXPECT_EQ(tokenizer->decode(Ids{256, 259}, false), "<s>ab");
}

TEST(GgufTokenizer, TheLongestSpecialTokenGoesFirst) {
  Json metadata = sample();
  for (const char* piece : {"<a", "aXX"}) {
    metadata["tokenizer.ggml.tokens"].push_back(piece);
    metadata["tokenizer.ggml.token_type"].push_back(4);
  }
  EXPECT_EQ(make(metadata)->encode("<aXX"), (Ids{'<', 264}));
  EXPECT_EQ(make(metadata)->encode("<aX"), (Ids{263, 'X'}));
}

TEST(GgufTokenizer, DroppedBytesKeepTheirNeighboursApart) {
  Json metadata = sample();
  metadata["tokenizer.ggml.tokens"]['!'] = "no byte";
  metadata["tokenizer.ggml.tokens"]['#'] = "nor this";
  metadata["tokenizer.ggml.tokens"].push_back("$%");
  metadata["tokenizer.ggml.token_type"].push_back(1);
  metadata["tokenizer.ggml.merges"].push_back("$ %");
  EXPECT_EQ(make(metadata)->encode("$%"), (Ids{263}));
  EXPECT_EQ(make(metadata)->encode("$!%"), (Ids{'$', '%'}));
  EXPECT_EQ(make(metadata)->encode("!#$%!"), (Ids{263}));
}

TEST(GgufTokenizer, PatternsByName) {
  Json metadata = sample();
  metadata["tokenizer.ggml.pre"] = "smollm";
  EXPECT_EQ(make(metadata)->encode("123"), (Ids{'1', '2', '3'}));
  metadata["tokenizer.ggml.pre"] = "qwen2";
  EXPECT_EQ(make(metadata)->encode("123"), (Ids{'1', '2', '3'}));
  metadata["tokenizer.ggml.pre"] = "llama-bpe";
  EXPECT_EQ(make(metadata)->encode("1234"), (Ids{256, 262, '4'}));
  metadata["tokenizer.ggml.merges"] = Json::array();
  EXPECT_EQ(make(metadata)->encode("123"), (Ids{256, 262})) << "a whole piece needs no merges";
  metadata["tokenizer.ggml.pre"] = "gpt-2";
  EXPECT_EQ(make(metadata)->encode("123"), (Ids{'1', '2', '3'}));
}

TEST(GgufTokenizer, UnknownOrMissingPatternsAreWarnings) {
  Json metadata = sample();
  metadata["tokenizer.ggml.pre"] = "brand-new\n";
  const auto unknown = make(metadata);
  ASSERT_EQ(unknown->warnings().size(), 1u);
  EXPECT_NE(unknown->warnings()[0].find("brand-new"), std::string::npos);
  EXPECT_EQ(unknown->warnings()[0].find('\n'), std::string::npos);
  EXPECT_EQ(unknown->encode("abc"), (Ids{260}));
  metadata.erase("tokenizer.ggml.pre");
  EXPECT_EQ(make(metadata)->warnings().size(), 1u);
}

TEST(GgufTokenizer, FramesAsTheFileSays) {
  Json metadata = sample();
  metadata["tokenizer.ggml.add_bos_token"] = true;
  metadata["tokenizer.ggml.add_eos_token"] = true;
  EXPECT_EQ(make(metadata)->encode("ab"), (Ids{256, 259, 257}));
  EXPECT_EQ(make(metadata)->encode("ab", {.add_special = false}), (Ids{259}));
  metadata.erase("tokenizer.ggml.eos_token_id");
  expect_error(ErrorCode::bad_data, {"add_eos_token"}, [&] { static_cast<void>(make(metadata)); });
}

TEST(GgufTokenizer, HostileMetadata) {
  const auto refuse = [](const char* key, const Json& value,
                         std::initializer_list<std::string> parts) {
    SCOPED_TRACE(std::string(key) + " = " + value.dump().substr(0, 60));
    Json metadata = sample();
    metadata[key] = value;
    std::string message =
        expect_error(ErrorCode::bad_data, parts, [&] { static_cast<void>(make(metadata)); });
    EXPECT_NE(message.find("model.gguf"), std::string::npos) << message;
    EXPECT_NE(message.find(key), std::string::npos) << message;
  };
  Json tokens = sample()["tokenizer.ggml.tokens"];
  tokens[260] = "ab";
  refuse("tokenizer.ggml.tokens", tokens, {"duplicate", "259", "260"});
  refuse("tokenizer.ggml.tokens", Json::array(), {"empty"});
  refuse("tokenizer.ggml.tokens", "abc", {"array"});
  refuse("tokenizer.ggml.tokens", {1, 2}, {"string"});
  refuse("tokenizer.ggml.token_type", {1, 2}, {"2 entries for 263"});
  refuse("tokenizer.ggml.merges", {"a b", "a q"}, {"[1]", "aq"});
  refuse("tokenizer.ggml.merges", {"a b", "a b"}, {"[1]", "duplicate"});
  refuse("tokenizer.ggml.merges", {"ab"}, {"[0]"});
  refuse("tokenizer.ggml.merges", {""}, {"[0]"});
  refuse("tokenizer.ggml.merges", {7}, {"string"});
  refuse("tokenizer.ggml.bos_token_id", 263, {"263"});
  refuse("tokenizer.ggml.eos_token_id", -1, {"-1"});
  refuse("tokenizer.ggml.model", "rwkv", {"rwkv", "gpt2"});
  refuse("tokenizer.ggml.add_bos_token", 1, {"true or false"});
  expect_error(ErrorCode::bad_data, {"missing tokenizer"},
               [] { static_cast<void>(make(Json::object())); });
}

/// <unk> 0, <s> 1, </s> 2, <0x21> 3, "\u2581" 4, "a" 5, "b" 6, "\u2581a" 7, "ab" 8.
Json sentencepiece_sample() {
  return {{"tokenizer.ggml.model", "llama"},
          {"tokenizer.ggml.tokens",
           {"<unk>", "<s>", "</s>", "<0x21>", "\u2581", "a", "b", "\u2581a", "ab"}},
          {"tokenizer.ggml.token_type", {2, 3, 3, 6, 1, 1, 1, 1, 1}},
          {"tokenizer.ggml.scores", {0, 0, 0, 0, -3, -4, -5, -2, -1}},
          {"tokenizer.ggml.bos_token_id", 1},
          {"tokenizer.ggml.eos_token_id", 2},
          {"tokenizer.ggml.unknown_token_id", 0}};
}

TEST(GgufTokenizer, SentencePieceByScores) {
  Json metadata = sentencepiece_sample();
  EXPECT_EQ(make(metadata)->encode("ab a!?"), (Ids{1, 4, 8, 7, 3, 0}));
  EXPECT_EQ(make(metadata)->encode("a</s>a", {.parse_special = true}), (Ids{1, 7, 2, 7}));
  EXPECT_EQ(make(metadata)->decode(Ids{1, 4, 8, 7, 3}), "ab a!");
  metadata["tokenizer.ggml.add_space_prefix"] = false;
  metadata["tokenizer.ggml.add_bos_token"] = false;
  metadata["tokenizer.ggml.add_eos_token"] = true;
  EXPECT_EQ(make(metadata)->encode("ab"), (Ids{8, 2}));
  metadata["tokenizer.ggml.scores"].erase(8);
  expect_error(ErrorCode::bad_data, {"scores", "8 entries for 9"},
               [&] { static_cast<void>(make(metadata)); });
  metadata["tokenizer.ggml.scores"].push_back("x");
  expect_error(ErrorCode::bad_data, {"scores[8]"}, [&] { static_cast<void>(make(metadata)); });
  metadata.erase("tokenizer.ggml.scores");
  expect_error(ErrorCode::bad_data, {"scores"}, [&] { static_cast<void>(make(metadata)); });
}

}  // namespace
}  // namespace assay::text
