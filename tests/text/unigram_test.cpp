#include "text/unigram.h"

#include <gtest/gtest.h>

#include "base/cpu_clock.h"
#include "text/scored_bpe.h"
#include "text/support.h"

namespace assay::text {
namespace {

/// A tokenizer.json of a Unigram model: <unk> is 0, then `pieces` with their scores.
Json unigram_json(const std::vector<std::pair<std::string, double>>& pieces) {
  Json vocab = Json::array({Json::array({"<unk>", 0.0})});
  for (const auto& [piece, score] : pieces) vocab.push_back(Json::array({piece, score}));
  return {{"version", "1.0"},
          {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}},
          {"decoder", {{"type", "Metaspace"}, {"replacement", "_"}}}};
}

TEST(Unigram, TakesTheBestOfAllWays) {
  const auto tokenizer =
      from_json(unigram_json({{"a", -1}, {"b", -1}, {"ab", -3}, {"abc", -9}, {"c", -1}}));
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{1, 2}));      // -2 beats -3
  EXPECT_EQ(tokenizer->encode("abc"), (Ids{1, 2, 5}));  // -3 beats -9
  const auto longer = from_json(unigram_json({{"a", -2}, {"b", -2}, {"ab", -3}}));
  EXPECT_EQ(longer->encode("abab"), (Ids{3, 3}));
  const auto equal = from_json(unigram_json({{"a", -1}, {"aa", -2}}));
  EXPECT_EQ(equal->encode("aa"), (Ids{2}));  // the path that was found first stays
}

TEST(Unigram, UnknownCharactersAreOneToken) {
  const auto tokenizer = from_json(unigram_json({{"a", -1}}));
  EXPECT_EQ(tokenizer->encode("xyza\U0001F600"), (Ids{0, 1, 0}));
  EXPECT_EQ(tokenizer->encode(""), (Ids{}));
}

TEST(Unigram, BytesStandInIfAllAreThere) {
  Json json = unigram_json({{"a", -1}, {"<0xC3>", -5}, {"<0xA9>", -5}, {"<0xE2>", -5}});
  json["model"]["byte_fallback"] = true;
  const auto tokenizer = from_json(json);
  EXPECT_EQ(tokenizer->encode("a\u00e9"), (Ids{1, 2, 3}));
  EXPECT_EQ(tokenizer->encode("a\u20ac"), (Ids{1, 0}));  // two of three bytes are missing
  EXPECT_EQ(tokenizer->encode("\u00e9\u00e9"), (Ids{2, 3, 2, 3}));
}

TEST(Unigram, RefusesWhatItCannotRead) {
  const auto refused = [](const Json& json, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::bad_data, parts, [&] { static_cast<void>(from_json(json)); });
  };
  Json json = unigram_json({{"a", -1}});
  json["model"]["unk_id"] = 7;
  refused(json, {"unk_id", "7"});
  json["model"].erase("unk_id");
  refused(json, {"unk_id"});
  json = unigram_json({{"a", -1}});
  json["model"]["vocab"][1] = Json::array({"a"});
  refused(json, {"vocab[1]", "score"});
  refused(unigram_json({{std::string(5000, 'a'), -1}}), {"longer than 4096"});
  for (const char* map : {"", "####", "AAAA", "AAA", "BAAAAAAAAAA=", "/////wAAAAA="}) {
    json = unigram_json({{"a", -1}});
    json["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", map}};
    if (std::string(map) == "BAAAAAAAAAA=") {  // four bytes of an empty trie
      EXPECT_EQ(from_json(json)->encode("a"), (Ids{1}));
    } else {
      refused(json, {"precompiled_charsmap"});
    }
  }
}

TEST(Unigram, MarksBeyondUnicode15JoinWhatStandsBefore) {
  // The map replaces a short grapheme by what its beginning maps to: the mark is lost.
  const auto tokenizer = from_json(base::read_json(golden_file("unigram_tokenizer.json")));
  const Ids half = tokenizer->encode("\u00bd");
  for (const char* text : {"\u00bd\u0300", "\u00bd\u0897", "\u00bd\u1ae8"}) {
    EXPECT_EQ(tokenizer->encode(text), half) << text;
  }
  EXPECT_NE(tokenizer->encode("\u00bd\u1adf"), half);  // not assigned
}

/// Seconds that `tokenizer` needs for a text of `count` times `part`.
double seconds(const Tokenizer& tokenizer, const std::string& part, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += part;
  const testing::CpuClock clock;
  EXPECT_FALSE(tokenizer.encode(text).empty());
  return clock.seconds();
}

/// A text of 3 MB that is one piece, and a thirtieth of it; ten times the proportion is allowed,
/// where quadratic time would be thirty times.
void expect_near_linear(const Tokenizer& tokenizer, const std::string& part) {
  const std::size_t count = 3'000'000 / part.size();
  const double shorter = seconds(tokenizer, part, count / 30);
  EXPECT_LT(seconds(tokenizer, part, count), 300 * shorter + 1.0) << part;
}

TEST(LongPieces, TakeNearLinearTime) {
  const auto golden = [](const char* name) { return base::read_json(golden_file(name)); };
  Json bytes = golden("bpe_tokenizer.json");
  bytes["pre_tokenizer"]["use_regex"] = false;
  Json fallback = golden("sentencepiece_bpe_tokenizer.json");
  const auto tokenizers = {from_json(bytes), from_json(fallback),
                           from_json(golden("unigram_tokenizer.json")),
                           from_json(golden("bpe_tokenizer.json"))};
  for (const auto& tokenizer : tokenizers) {
    for (const char* part : {"a", "the people ", "\u00e9\u65e5", "a\u0301"}) {
      expect_near_linear(*tokenizer, part);
    }
  }
}

TEST(ScoredBpe, MergesTheHighestScoreFirst) {
  const Vocabulary vocabulary(
      {{"<unk>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}, {"ba", 4}, {"aba", 5}, {"<0x63>", 6}}, "test");
  const auto encode = [&](std::vector<float> scores, std::string_view text) {
    const ScoredBpe model(vocabulary, std::move(scores), 0);
    ScoredBpe::Scratch scratch;
    Ids ids;
    model.encode(text, scratch, ids);
    return ids;
  };
  EXPECT_EQ(encode({0, -9, -9, -1, -2, -3, 0}, "abab"), (Ids{3, 3}));
  EXPECT_EQ(encode({0, -9, -9, -2, -1, -3, 0}, "abab"), (Ids{5, 2}));
  EXPECT_EQ(encode({0, -9, -9, -1, -1, -3, 0}, "bab"), (Ids{4, 2}));  // the leftmost of equals
  EXPECT_EQ(encode({0, 0, 0, 0, 0, 0, 0}, "acd"), (Ids{1, 6, 0}));
}

}  // namespace
}  // namespace assay::text
