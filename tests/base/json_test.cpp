#include "base/json.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/cpu_clock.h"
#include "base/json_events.h"
#include "base/scratch_folder.h"

namespace assay::base {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

TEST(ParseJson, EqualsNlohmannOnEveryKindOfValue) {
  const std::vector<std::string> texts = {
      "{}",
      "[]",
      "null",
      "-1",
      "\"x\"",
      " { \"a\" : [ 1 , -2, 3.5, 18446744073709551615, true, false, null, {\"b\": []} ] } \n",
      R"([[[]], {}, {"k": {"l": {"m": [1, [2, [3]]]}}}, "\u00e9\n\"\\"])",
      "\xef\xbb\xbf{\"bom\": 1}"};
  for (const std::string& text : texts) EXPECT_EQ(parse_json(text, "t"), Json::parse(text)) << text;
}

TEST(ParseJson, RejectsDuplicateKeysAndSaysWhere) {
  expect_error(ErrorCode::bad_data, {"c.json: field 'a' at byte 8: the key is there twice"},
               [] { (void)parse_json(R"({"a":1, "a":2})", "c.json"); });
  // The position is that of the key's own quote, however it is escaped.
  expect_error(ErrorCode::bad_data, {R"(field 'x"\\' at byte 13)"},
               [] { (void)parse_json(R"({"x\"\\":{}, "\u0078\"\\":2})", "c.json"); });
  EXPECT_NO_THROW((void)parse_json(R"({"a":{"a":1},"b":[{"a":1},{"a":1}]})", "c.json"));
}

TEST(ParseJson, ErrorsNameSourceAndPosition) {
  const auto rejects = [](const std::string& text, const std::string& where) {
    expect_error(ErrorCode::bad_data, {"dir/c.json: at byte " + where + ": not valid JSON"},
                 [&] { (void)parse_json(text, "dir/c.json"); });
  };
  rejects("", "0");
  rejects("{\"a\":}", "5");
  rejects("{\"a\":1", "6");
  rejects("[1,]", "3");
  rejects("[1] x", "4");
  rejects("[NaN]", "1");
  rejects("[Infinity]", "1");
  rejects("{'a':1}", "1");
  rejects("[1e999]", "5");
  rejects("[\"\xff\"]", "2");
  rejects("[\"a\nb\"]", "3");
  rejects("// comment\n1", "0");
}

TEST(ParseJson, LimitsDepth) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW((void)parse_json(nested(64), "t"));
  expect_error(ErrorCode::bad_data, {"t: at byte 64: nested deeper than 64"},
               [&] { (void)parse_json(nested(65), "t"); });
  expect_error(ErrorCode::bad_data, {"nested deeper"},
               [] { (void)parse_json(std::string(10'000'000, '['), "t"); });
  // Brackets inside strings do not count.
  EXPECT_NO_THROW((void)parse_json("\"" + nested(1000) + "\\\"" + nested(1000) + "\"", "t"));
}

TEST(ParseJson, LimitsTokens) {
  const std::size_t mib = std::size_t{1} << 20;
  expect_error(ErrorCode::bad_data, {"at byte 1: a string of more than"},
               [&] { (void)parse_json("[\"" + std::string(9 * mib, 'a'), "t"); });
  expect_error(ErrorCode::bad_data, {"at byte 1: a number, word or gap"},
               [&] { (void)parse_json("[" + std::string(2 * mib, '1') + "]", "t"); });
  EXPECT_EQ(parse_json("1" + std::string(2 * mib, ' '), "t"), 1);
  // A message never carries the offending token whole.
  const std::string message = expect_error(ErrorCode::bad_data, {"not valid JSON"}, [&] {
    (void)parse_json("[\"" + std::string(mib, 'a') + "\x01\"]", "t");
  });
  EXPECT_LT(message.size(), 400U);
}

// Each of these is quadratic in a parser that looks back naively.
TEST(ParseJson, IsLinear) {
  const auto seconds = [](const std::string& text) {
    const testing::CpuClock clock;
    (void)parse_json(text, "t");
    return clock.seconds();
  };
  std::string keys = "{";
  for (int i = 0; i < 200000; ++i) keys += fmt::format("\"k{}\":{{}},", i);
  keys.back() = '}';
  EXPECT_LT(seconds(keys), 10.0);
  std::string quotes;
  for (int i = 0; i < 1'000'000; ++i) quotes += "\\\"";
  EXPECT_LT(seconds("{\"" + quotes + "\":1}"), 10.0);
  EXPECT_LT(seconds("{\"" + std::string(2'000'000, '\\') + "\":1}"), 10.0);
}

TEST(ReadJson, ReadsAFileAndNamesIt) {
  const ScratchFolder folder;
  EXPECT_EQ(read_json(folder.write("a.json", R"({"hidden_size": 384})"))["hidden_size"], 384);
  const auto bad = folder.write("b.json", "{\"a\": tru}");
  expect_error(ErrorCode::bad_data, {bad.string() + ": at byte 9"}, [&] { (void)read_json(bad); });
  expect_error(ErrorCode::bad_data, {"larger than the 5 bytes"}, [&] { (void)read_json(bad, 5); });
}

class Recorder : public JsonEvents {
 public:
  void begin_object() override { log += '{'; }
  void end_object() override { log += '}'; }
  void begin_array() override { log += '['; }
  void end_array() override { log += ']'; }
  void key(std::string&& name, std::size_t position) override {
    log += fmt::format("{}@{}=", name, position);
  }
  void scalar(Json&& value) override { log += value.dump() + ";"; }
  std::string log;
};

TEST(JsonEvents, ArriveInOrderWithTheKeysPositions) {
  Recorder recorder;
  read_json_events(R"({"a":[1,"x"],"b":{"c":null}})", "t", recorder, 100);
  EXPECT_EQ(recorder.log, "{a@101=[1;\"x\";]b@113={c@118=null;}}");
}

}  // namespace
}  // namespace assay::base
