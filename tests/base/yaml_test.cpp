#include "base/yaml.h"

#include <gtest/gtest.h>

#include <fstream>

namespace assay::base {
namespace {

Json value_of(const std::string& text) { return parse_yaml(text, "test").value; }

std::string error_of(const std::string& text) {
  try {
    (void)parse_yaml(text, "study.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Yaml, CoreSchemaScalars) {
  EXPECT_EQ(value_of("[~, null, Null, NULL, ]"), Json::parse("[null, null, null, null]"));
  EXPECT_EQ(value_of("[true, True, FALSE, yes, No, on]"),
            Json::parse(R"([true, true, false, "yes", "No", "on"])"));
  EXPECT_EQ(value_of("[1, -2, +3, 007, 0x1F, 0o17, 1_000, 0b1]"),
            Json::parse(R"([1, -2, 3, 7, 31, 15, "1_000", "0b1"])"));
  EXPECT_EQ(value_of("[1.5, -.5, 6., 1e3, 1.e-2, 1e, ., -, 1.2.3, 12:30]"),
            Json::parse(R"([1.5, -0.5, 6.0, 1000.0, 0.01, "1e", ".", "-", "1.2.3", "12:30"])"));
  EXPECT_EQ(value_of("['1', \"true\", !!str 3, 'null', '']"),
            Json::parse(R"(["1", "true", "3", "null", ""])"));
  EXPECT_EQ(value_of("6.0").type(), Json::value_t::number_float);
  EXPECT_EQ(value_of("6").type(), Json::value_t::number_integer);
}

TEST(Yaml, StructuresAndJson) {
  EXPECT_EQ(value_of("a:\n  - b: 1\n    c: [x, {d: e}]\n  - \n"),
            Json::parse(R"({"a": [{"b": 1, "c": ["x", {"d": "e"}]}, null]})"));
  EXPECT_EQ(value_of(R"({"a": "b", "c": [1, 2.5, true, null]})"),
            Json::parse(R"({"a": "b", "c": [1, 2.5, true, null]})"));
  EXPECT_EQ(value_of("1: x\ntrue: y"), Json::parse(R"({"1": "x", "true": "y"})"));
  EXPECT_EQ(value_of("text: |\n  two\n  lines\n"), Json::parse(R"({"text": "two\nlines\n"})"));
  EXPECT_TRUE(value_of("").is_null());
  EXPECT_TRUE(value_of("# only a comment\n").is_null());
}

TEST(Yaml, LinesByPointer) {
  const YamlDocument doc = parse_yaml(
      "# first\n"
      "cells:\n"
      "  - model: a\n"
      "    tasks:\n"
      "      - x\n"
      "      - y\n"
      "  - {model: b,\n"
      "     recipe: nf4}\n"
      "a/b~c: 1\n",
      "study.yaml");
  EXPECT_EQ(doc.line("/cells"), 2);
  EXPECT_EQ(doc.line("/cells/0"), 3);
  EXPECT_EQ(doc.line("/cells/0/tasks"), 4);
  EXPECT_EQ(doc.line("/cells/0/tasks/1"), 6);
  EXPECT_EQ(doc.line("/cells/1/model"), 7);
  EXPECT_EQ(doc.line("/cells/1/recipe"), 8);
  EXPECT_EQ(doc.line("/a~1b~0c"), 9);
  EXPECT_EQ(doc.line("/cells/1/recipe/deeper/still"), 8);  // nearest ancestor
  EXPECT_EQ(doc.line(""), 2);
  EXPECT_EQ(doc.line("/nothing"), 2);
  EXPECT_EQ(parse_yaml("", "x").line("/a"), 1);
}

TEST(Yaml, Aliases) {
  EXPECT_EQ(value_of("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]"),
            Json::parse(R"({"a": {"b": [1, 2]}, "c": {"b": [1, 2]},
                            "d": [{"b": [1, 2]}, {"b": [1, 2]}]})"));
  EXPECT_EQ(parse_yaml("a: &x {b: 1}\nc:\n  *x\n", "t").line("/c/b"), 2);
  EXPECT_NE(error_of("a: &x [*x]").find("line 1"), std::string::npos);
  EXPECT_NE(error_of("a: *missing").find("line 1"), std::string::npos);
}

TEST(Yaml, AliasBombIsStopped) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j == 0 ? "" : ", ") + before;
    text += "]\n";
  }
  EXPECT_NE(error_of(text).find("nodes with all aliases expanded"), std::string::npos);
  // The same with one long string.
  std::string strings = "s: &s '" + std::string(100'000, 'x') + "'\nl: [";
  for (int i = 0; i < 100'000; ++i) strings += "*s, ";
  EXPECT_NE(error_of(strings + "]").find("nodes with all aliases expanded"), std::string::npos);
}

TEST(Yaml, DepthIsLimited) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_EQ(error_of(nested(64)), "no error");
  EXPECT_NE(error_of(nested(65)).find("nested deeper than 64"), std::string::npos);
  EXPECT_NE(error_of(nested(100'000)), "no error");
  // Each alias is a step of ten levels.
  std::string text = "- &a0 [[[[[[[[[x]]]]]]]]]\n";
  for (int i = 1; i < 9; ++i) {
    text += "- &a" + std::to_string(i) + " [[[[[[[[[*a" + std::to_string(i - 1) + "]]]]]]]]]\n";
  }
  EXPECT_NE(error_of(text).find("nested deeper than 64"), std::string::npos);
}

TEST(Yaml, ErrorsNameSourceAndLine) {
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"), "study.yaml line 3: the key 'a' stands twice");
  EXPECT_EQ(error_of("a: {b: 1, b: 2}"), "study.yaml line 1: the key 'b' stands twice");
  EXPECT_NE(error_of("a: 1\n b: 2\n").find("study.yaml line 2"), std::string::npos);
  EXPECT_NE(error_of("a: [1, 2\n").find("study.yaml line"), std::string::npos);
  EXPECT_NE(error_of("\n\n? [x]\n: y").find("study.yaml line 3: a key must be"), std::string::npos);
  EXPECT_NE(error_of("? ~\n: y").find("a key must be"), std::string::npos);
  EXPECT_NE(error_of("a: 1\nb: !python/object x").find("line 2: the tag"), std::string::npos);
  EXPECT_NE(error_of("a: !!set {x}").find("the tag"), std::string::npos);
  EXPECT_NE(error_of("a: .inf").find("not a finite number"), std::string::npos);
  EXPECT_NE(error_of("a: .nan").find("not a finite number"), std::string::npos);
  EXPECT_NE(error_of("a: 99999999999999999999").find("out of range"), std::string::npos);
  EXPECT_NE(error_of("a: 1e999").find("out of range"), std::string::npos);
  EXPECT_NE(error_of("a: 1\nb: x\xff").find("line 2: 'x\\xff' is not UTF-8"), std::string::npos);
  EXPECT_NE(error_of("x\xff: 1").find("is not UTF-8"), std::string::npos);
  EXPECT_NE(error_of("a: 1\n---\nb: 2\n").find("second one"), std::string::npos);
  EXPECT_NE(error_of(std::string((std::size_t{1} << 20) + 1, ' ')).find("more than"),
            std::string::npos);
}

TEST(Yaml, ReadsFiles) {
  const std::filesystem::path file =
      std::filesystem::path(::testing::TempDir()) / "assay_yaml.yaml";
  std::ofstream(file) << "a: 1\nb: [\n";
  try {
    (void)read_yaml(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(file.string()), std::string::npos);
  }
  std::ofstream(file) << "a: 1\n";
  EXPECT_EQ(read_yaml(file).value, Json::parse(R"({"a": 1})"));
  std::filesystem::remove(file);
  try {
    (void)read_yaml(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
  }
}

}  // namespace
}  // namespace assay::base
