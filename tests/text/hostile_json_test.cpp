// tokenizer.json files that lie: every one is refused with the place, none crashes or hangs.
#include <gtest/gtest.h>

#include "text/support.h"

namespace assay::text {
namespace {

using Pointer = Json::json_pointer;

void refuse(Json json, const std::string& pointer, const Json& value,
            std::initializer_list<std::string> parts) {
  SCOPED_TRACE(pointer + " = " + value.dump().substr(0, 80));
  json[Pointer(pointer)] = value;
  const std::string message =
      expect_error(ErrorCode::bad_data, parts, [&] { static_cast<void>(from_json(json)); });
  EXPECT_NE(message.find("tokenizer.json: "), std::string::npos) << message;
}

TEST(HostileTokenizerJson, Vocabulary) {
  const Json bpe = byte_level_json({{"a", "b"}});
  refuse(bpe, "/model/vocab/x1", 5, {"model.vocab", "id 5", "'x1'"});
  refuse(bpe, "/model/vocab/x1", -1, {"model.vocab.x1", "-1"});
  refuse(bpe, "/model/vocab/x1", 4'000'000'000u, {"model.vocab.x1", "4000000000"});
  refuse(bpe, "/model/vocab/x1", 18446744073709551615u, {"model.vocab.x1", "out of range"});
  refuse(bpe, "/model/vocab/x1", 2'000'000, {"model.vocab.x1", "2000000"});
  refuse(bpe, "/model/vocab/x1", "7", {"model.vocab.x1", "integer"});
  refuse(bpe, "/model/vocab/x1", 1.5, {"model.vocab.x1", "integer"});
  refuse(bpe, "/model/vocab", Json::object(), {"model.vocab", "empty"});
  refuse(bpe, "/model/vocab", Json::array(), {"model.vocab", "object"});
  refuse(bpe, "/model", nullptr, {"model", "missing"});
  refuse(bpe, "/model/type", "Magic", {"model.type", "Magic"});
  refuse(bpe, "/model/vocab/x\ny", -1, {"x\\ny"});
}

TEST(HostileTokenizerJson, DuplicateKeysAndBrokenText) {
  const ScratchFolder folder;
  for (const char* text :
       {R"({"model": {"type": "BPE", "vocab": {"a": 1, "a": 2}, "merges": []}})", "{", "[]", "",
        R"({"model": {"type": "BPE", "vocab": {"a": 1}, "merges": []}, "version": NaN})"}) {
    SCOPED_TRACE(text);
    expect_error(ErrorCode::bad_data, {"tokenizer.json"}, [&] {
      static_cast<void>(load_tokenizer_json(folder.write("tokenizer.json", text)));
    });
  }
  expect_error(ErrorCode::io, {"absent.json"},
               [&] { static_cast<void>(load_tokenizer_json(folder.path() / "absent.json")); });
}

TEST(HostileTokenizerJson, Merges) {
  const Json bpe = byte_level_json({{"a", "b"}});
  refuse(bpe, "/model/merges", {"a b", "zz b"}, {"model.merges[1]", "left part 'zz'"});
  refuse(bpe, "/model/merges", {"a zz"}, {"model.merges[0]", "right part 'zz'"});
  refuse(bpe, "/model/merges", {"a c"}, {"model.merges[0]", "result 'ac'"});
  refuse(bpe, "/model/merges", {"a b", "a b"}, {"model.merges[1]", "duplicate"});
  refuse(bpe, "/model/merges", {"a b c"}, {"model.merges[0]", "two pieces"});
  refuse(bpe, "/model/merges", {"ab"}, {"model.merges[0]", "two pieces"});
  refuse(bpe, "/model/merges", {Json{"a"}}, {"model.merges[0]", "two pieces"});
  refuse(bpe, "/model/merges", {Json{"a", 1}}, {"model.merges[0]", "two pieces"});
  refuse(bpe, "/model/merges", "a b", {"model.merges", "array"});
}

TEST(HostileTokenizerJson, WhatWouldChangeIdsIsRefused) {
  const Json bpe = byte_level_json({{"a", "b"}});
  refuse(bpe, "/model/dropout", 0.1, {"model.dropout"});
  refuse(bpe, "/model/byte_fallback", true, {"model.byte_fallback"});
  refuse(bpe, "/model/end_of_word_suffix", "</w>", {"model.end_of_word_suffix"});
  refuse(bpe, "/model/continuing_subword_prefix", "##", {"model.continuing_subword_prefix"});
  refuse(bpe, "/model/novelty", true, {"model.novelty"});
  refuse(bpe, "/novelty", 1, {"novelty"});
  refuse(bpe, "/model/unk_token", "<none>", {"unk_token", "<none>"});
  refuse(bpe, "/model/ignore_merges", "yes", {"model.ignore_merges"});
  refuse(bpe, "/normalizer", {{"type", "Replace"}}, {"normalizer.pattern", "missing"});
  refuse(bpe, "/normalizer", {{"type", "Prepend"}}, {"normalizer.prepend", "missing"});
  refuse(bpe, "/normalizer", {{"type", "Odd"}}, {"normalizer", "Odd"});
  const auto metaspace = [](const char* key, const Json& value) {
    return Json{{"type", "Metaspace"}, {key, value}};
  };
  refuse(bpe, "/pre_tokenizer", metaspace("replacement", "ab"), {"replacement", "one character"});
  refuse(bpe, "/pre_tokenizer", metaspace("replacement", ""), {"replacement", "one character"});
  refuse(bpe, "/pre_tokenizer", metaspace("prepend_scheme", "last"), {"prepend_scheme", "last"});
  refuse(bpe, "/pre_tokenizer", metaspace("novelty", 1), {"pre_tokenizer.novelty"});
  Json stripped = bpe;
  stripped["normalizer"] = {{"type", "Strip"}};
  refuse(stripped, "/pre_tokenizer", metaspace("prepend_scheme", "first"), {"'first'", "Strip"});
  refuse(bpe, "/pre_tokenizer", {{"type", "Odd"}}, {"pre_tokenizer", "Odd"});
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", -1}};
  refuse(bpe, "/decoder", strip, {"decoder.start", "-1"});
  refuse(bpe, "/pre_tokenizer/novelty", 1, {"pre_tokenizer.novelty"});
  refuse(bpe, "/post_processor", {{"type", "Odd"}}, {"post_processor", "Odd"});
  refuse(bpe, "/decoder", {{"type", "Odd"}}, {"decoder", "Odd"});
  const Json word = wordpiece_json({"a"});
  refuse(word, "/model/unk_token", "<none>", {"unk_token", "<none>"});
  refuse(word, "/model/max_input_chars_per_word", 1'000'000'000, {"max_input_chars_per_word"});
  refuse(word, "/model/max_input_chars_per_word", -5, {"max_input_chars_per_word"});
  refuse(word, "/post_processor/cls", {"[CLS]", 99}, {"post_processor.cls", "99"});
  refuse(word, "/post_processor/cls", {"[CLS]"}, {"post_processor.cls"});
  refuse(word, "/normalizer/lowercase", 1, {"normalizer.lowercase"});
}

TEST(HostileTokenizerJson, AddedTokens) {
  const Json word = wordpiece_json({"a", "b"});
  const auto token = [](int id, const std::string& content) {
    return Json{{"id", id}, {"content", content}};
  };
  refuse(word, "/added_tokens/4", token(4, "x"), {"added_tokens[4]", "contradicts"});
  refuse(word, "/added_tokens/4", token(9, "a"), {"added_tokens[4]", "contradicts"});
  refuse(word, "/added_tokens/4", token(1'000'000, "x"), {"added_tokens[4]", "1000000"});
  refuse(word, "/added_tokens/4", token(-1, "x"), {"added_tokens[4]", "-1"});
  refuse(word, "/added_tokens/4", token(9, ""), {"added_tokens", "0 bytes"});
  refuse(word, "/added_tokens/4", token(9, std::string(5000, 'x')), {"added_tokens", "5000 bytes"});
  refuse(word, "/added_tokens/4", token(0, "[PAD]"), {"added_tokens", "duplicate"});
  refuse(word, "/added_tokens/4", 7, {"added_tokens[4]", "object"});
}

TEST(HostileTokenizerJson, Templates) {
  Json word = wordpiece_json({"a"});
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json special = {{"SpecialToken", {{"id", "[CLS]"}, {"type_id", 0}}}};
  word["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", {special, text}},
                            {"special_tokens", {{"[CLS]", {{"ids", {2}}}}}}};
  EXPECT_EQ(from_json(word)->encode("a"), (Ids{2, 4}));
  refuse(word, "/post_processor/single", Json::array({special}),
         {"post_processor.single", "no sequence A"});
  refuse(word, "/post_processor/single", {text, text}, {"single[1]", "exactly once"});
  refuse(word, "/post_processor/single/0/SpecialToken/id", "[X]", {"single[0]", "[X]"});
  refuse(word, "/post_processor/special_tokens/[CLS]/ids/0", 99, {"special_tokens", "99"});
  refuse(word, "/post_processor/single/1/Sequence/id", "B", {"single[1]"});
}

TEST(HostileTokenizerJson, NestingAndPatterns) {
  const Json bpe = byte_level_json({});
  Json nested = {{"type", "NFC"}};
  for (int i = 0; i < 20; ++i) nested = {{"type", "Sequence"}, {"normalizers", {nested}}};
  refuse(bpe, "/normalizer", nested, {"normalizer", "nested deeper"});
  const auto split = [](const Json& pattern, const char* behavior) {
    const Json step = {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}};
    return Json{{"type", "Sequence"}, {"pretokenizers", {step, {{"type", "ByteLevel"}}}}};
  };
  refuse(bpe, "/pre_tokenizer", split({{"Regex", "(a"}}, "Isolated"), {"pattern", "malformed"});
  refuse(bpe, "/pre_tokenizer", split({{"Regex", "[a&&b]"}}, "Isolated"), {"pattern", "&&"});
  refuse(bpe, "/pre_tokenizer", split({{"Odd", "a"}}, "Isolated"), {"pattern.Regex", "missing"});
  refuse(bpe, "/pre_tokenizer", split({{"Regex", "a"}}, "Sideways"), {"behavior", "Sideways"});
  Json sequences = {{"type", "ByteFallback"}};
  for (int i = 0; i < 20; ++i) sequences = {{"type", "Sequence"}, {"decoders", {sequences}}};
  refuse(bpe, "/decoder", sequences, {"decoder", "nested deeper"});
}

}  // namespace
}  // namespace assay::text
