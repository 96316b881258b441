#include "text/regex.h"

#include <gtest/gtest.h>

#include "text/pre_tokenizer.h"
#include "text/support.h"

namespace assay::text {
namespace {

std::vector<std::string> found(std::string_view pattern, const std::string& text) {
  const Regex regex(translate_pattern(pattern, "test"), "test");
  std::vector<Range> ranges;
  regex.find_all(text, ranges);
  std::vector<std::string> out;
  for (const Range& range : ranges) out.emplace_back(range.of(text));
  return out;
}

using Texts = std::vector<std::string>;

TEST(Regex, KnowsUnicode) {
  EXPECT_EQ(found(R"(\p{L}+)", "née 漢字 1"), (Texts{"née", "漢字"}));
  EXPECT_EQ(found(R"(\s+)", "a\u3000b\u180Ec"), (Texts{"\u3000"}));
  EXPECT_EQ(found(R"([^\s\p{L}]+)", "a\u180E b"), (Texts{"\u180E"}));
  EXPECT_EQ(found(R"((?i:'s))", "'S 'ſ"), (Texts{"'S", "'ſ"}));
  EXPECT_EQ(found(R"(\w+)", "a\u0301_1-b"), (Texts{"a\u0301_1", "b"}));
}

TEST(Regex, KnowsWhatTheReferenceKnowsBeyondUnicode14) {
  // A letter of Unicode 15.0 (Kawi), one of 16.0 (Garay, upper case), a digit, a mark, a symbol.
  const std::string kawi = "\U00011F04";
  const std::string garay = "\U00010D50";
  const std::string digit = "\U00010D40";
  const std::string mark = "\U00011F00";
  const std::string symbol = "\u2427";
  EXPECT_EQ(found(R"(\p{L}+)", "a" + kawi + "1"), (Texts{"a" + kawi}));
  EXPECT_EQ(found(R"(\pL+)", "a" + kawi + "1"), (Texts{"a" + kawi}));
  EXPECT_EQ(found(R"(\P{L}+)", "a" + kawi + "1"), (Texts{"1"}));
  EXPECT_EQ(found(R"([^\s\p{L}\p{N}]+)", symbol + kawi + digit + mark), (Texts{symbol, mark}));
  EXPECT_EQ(found(R"([\p{Lu}\p{M}]+)", "A" + garay + mark + kawi), (Texts{"A" + garay + mark}));
  EXPECT_EQ(found(R"(\w+)", kawi + mark + digit + symbol), (Texts{kawi + mark + digit}));
}

TEST(Regex, ReadsRubysDialect) {
  EXPECT_EQ(found(R"(\u00e9)", "é"), (Texts{"é"}));
  EXPECT_EQ(found(R"((?m:a.b))", "a\nb"), (Texts{"a\nb"}));
  EXPECT_EQ(found(R"(a.b)", "a\nb"), Texts{});
  EXPECT_EQ(found(R"(b$)", "b\nb"), (Texts{"b", "b"}));
  EXPECT_EQ(found(R"(a{,2})", "aaa"), (Texts{"aa", "a"}));
  EXPECT_EQ(found(R"(\v)", "\n\x0b"), (Texts{"\x0b"}));
  EXPECT_EQ(found(R"([\[\]]+)", "[]"), (Texts{"[]"}));
}

TEST(Regex, EmptyMatchesMoveOn) {
  EXPECT_EQ(found("x*", "aé"), (Texts{"", "", ""}));
  EXPECT_EQ(found("", ""), (Texts{""}));
}

TEST(Regex, LiteralsAreTakenAsTheyAre) {
  const std::string literal = "a.(b)[é]\\E";
  const Regex regex(literal_pattern(literal), "test");
  std::vector<Range> ranges;
  regex.find_all("xa.(b)[é]\\Ey aXb", ranges);
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].begin, 1u);
}

TEST(Regex, RefusesWhatWouldMeanSomethingElse) {
  for (const char* pattern :
       {R"([a-z&&[^b]])", R"([a[b]])", R"(\h)", R"(\p{N}{1,3}+)", R"([\S])", R"((*UTF)a)",
        R"(\Qa\E)", R"(\C)", R"((?s:a))", R"(\u12)", R"([a)", "[]a]", "a\\"}) {
    SCOPED_TRACE(pattern);
    expect_error(ErrorCode::bad_data, {"here", "splitting pattern", "at byte"},
                 [&] { static_cast<void>(translate_pattern(pattern, "here")); });
  }
  expect_error(ErrorCode::bad_data, {"here", "malformed at character"},
               [] { Regex("(a", "here"); });
}

TEST(Regex, CatastrophicPatternsEnd) {
  const Regex regex("(a+)+b", "here");
  std::vector<Range> ranges;
  expect_error(ErrorCode::bad_data, {"here", "splitting pattern failed"},
               [&] { regex.find_all(std::string(60, 'a') + "c b", ranges); });
}

TEST(Regex, PatternsDoNotGrowWithoutEnd) {
  std::string classes;
  for (int i = 0; i < 100'000; ++i) classes += "\\pL";
  for (const std::string& pattern : {classes, "[" + classes + "]"}) {
    const std::string message =
        testing::expect_error(ErrorCode::bad_data, {"tokenizer.json", "more than 65536 bytes"},
                              [&] { (void)translate_pattern(pattern, "tokenizer.json"); });
    EXPECT_LT(message.size(), 200U);
  }
}

TEST(Regex, LongRunsEnd) {
  const std::string spaces(3'000'000, ' ');
  const std::string pattern = R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(found(pattern, spaces + "a").size(), 2u);
  EXPECT_EQ(found(kGpt2Pattern, std::string(3'000'000, 'a')).size(), 1u);
  EXPECT_EQ(found("(?:a|b)+", std::string(3'000'000, 'a')).size(), 1u);
}

}  // namespace
}  // namespace assay::text
