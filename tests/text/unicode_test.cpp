#include "text/unicode.h"

#include <gtest/gtest.h>

#include "base/cpu_clock.h"
#include "text/bert_classes.h"
#include "text/support.h"

namespace assay::text {
namespace {

std::string unhex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TEST(Unicode, ReplacesInvalidBytesAsPythonDoes) {
  const Json golden = base::read_json(golden_file("invalid_utf8.json"));
  ASSERT_GE(golden.size(), 70u);
  const auto tokenizer = from_json(byte_level_json({}));
  for (const Json& pair : golden) {
    const std::string bytes = unhex(pair[0]);
    const std::string replaced = pair[1];
    std::string storage;
    EXPECT_EQ(valid_utf8(bytes, storage), replaced) << pair[0];
    EXPECT_EQ(tokenizer->encode(bytes), tokenizer->encode(replaced)) << pair[0];
  }
}

TEST(Unicode, ValidTextIsNotCopied) {
  const std::string text = "aé€😀";
  std::string storage;
  EXPECT_EQ(valid_utf8(text, storage).data(), text.data());
}

TEST(Unicode, StepsBothWays) {
  const std::string text = "aé€😀";
  const std::u32string expected = U"aé€😀";
  EXPECT_EQ(to_utf32(text), expected);
  EXPECT_EQ(to_utf8(expected), text);
  std::size_t position = text.size();
  for (std::size_t i = expected.size(); i-- > 0;) {
    EXPECT_EQ(previous_code_point(text, position), expected[i]);
  }
  EXPECT_EQ(position, 0u);
}

TEST(Unicode, Forms) {
  EXPECT_EQ(normalize_form(U"\u00E9", UnicodeForm::nfd), U"e\u0301");
  EXPECT_EQ(normalize_form(U"e\u0301", UnicodeForm::nfc), U"\u00E9");
  EXPECT_EQ(normalize_form(U"q\u0307\u0323", UnicodeForm::nfd), U"q\u0323\u0307");
  EXPECT_EQ(normalize_form(U"\u1100\u1161\u11A8", UnicodeForm::nfc), U"\uAC01");
  EXPECT_EQ(normalize_form(U"\uFB01\u00BD", UnicodeForm::nfkc), U"fi1\u20442");
  // The one before the trailing consonants is none of them.
  EXPECT_EQ(normalize_form(U"\uAC00\u11A7", UnicodeForm::nfc), U"\uAC00\u11A7");
  EXPECT_EQ(normalize_form(U"\u1100\u1161\u11A7\u11A8", UnicodeForm::nfkc), U"\uAC00\u11A7\u11A8");
  // Newer than Unicode 9.0: they stay, and nothing moves across them.
  EXPECT_EQ(normalize_form(U"\u32FF\U0001FBF1", UnicodeForm::nfkc), U"\u32FF\U0001FBF1");
  EXPECT_EQ(normalize_form(U"a\u0345\u1DF8\u0301", UnicodeForm::nfd), U"a\u0345\u1DF8\u0301");
  EXPECT_EQ(normalize_form(U"e\u0EBA\u0301", UnicodeForm::nfc), U"e\u0EBA\u0301");
}

TEST(Unicode, LongRunsOfMarksAreSortedInTime) {
  std::u32string marks(1, U'a');
  for (int i = 0; i < 500'000; ++i) marks += U"\u0301\u0323";
  const testing::CpuClock clock;
  const std::u32string sorted = normalize_form(marks, UnicodeForm::nfd);
  EXPECT_LT(clock.seconds(), 20.0);
  ASSERT_EQ(sorted.size(), marks.size());
  EXPECT_EQ(sorted[1], U'\u0323');
  EXPECT_EQ(sorted[500'000], U'\u0323');
  EXPECT_EQ(sorted[500'001], U'\u0301');
}

TEST(Unicode, LowerCaseOfOneCodePointMayBeTwo) {
  std::u32string out;
  for (const char32_t c : U"A\u0130\u03A3\u00DF") append_lower(out, c);
  EXPECT_EQ(out.substr(0, 5), U"ai\u0307\u03C3\u00DF");
}

TEST(BertClasses, FollowUnicode8) {
  EXPECT_TRUE(is_bert_mark(0x0301));
  EXPECT_TRUE(is_bert_mark(0x1734));   // spacing since Unicode 14
  EXPECT_FALSE(is_bert_mark(0x1ABF));  // a mark since Unicode 13
  EXPECT_TRUE(is_bert_control(0x200B));
  EXPECT_FALSE(is_bert_control(0x08E2));  // a format character since Unicode 9
  EXPECT_FALSE(is_bert_control(U'\n'));
  EXPECT_TRUE(is_bert_punctuation(U'$'));
  EXPECT_TRUE(is_bert_punctuation(0x2014));
  EXPECT_FALSE(is_bert_punctuation(0x20AC));
  EXPECT_FALSE(is_bert_punctuation(0x2E52));  // punctuation since Unicode 14
  EXPECT_TRUE(is_bert_chinese(0x4E00));
  EXPECT_FALSE(is_bert_chinese(0x3042));
}

TEST(Unicode, MarksAreThoseOfUnicode9) {
  for (const char32_t c : U"\u0301\u093E\u20DD\u1CF2\u1DFB") EXPECT_EQ(is_mark(c), c != 0);
  for (const char32_t c : U"a\u0EBA\u0CF3\U0001CF29") EXPECT_FALSE(is_mark(c));
}

}  // namespace
}  // namespace assay::text
