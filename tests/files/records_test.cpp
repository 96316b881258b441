#include "files/records.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/scratch_folder.h"
#include "files/table_file.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::ScratchFolder;
using Fields = std::vector<std::string>;

std::vector<CsvRecord> csv(const std::string& content) {
  const ScratchFolder folder;
  return read_csv(folder.write("t.csv", content));
}

TEST(Csv, ReadsQuotesSeparatorsAndLineEnds) {
  const auto records =
      csv("\xef\xbb\xbfWhat?,a,\"b, c\",\"say \"\"no\"\"\",NA,None\r\n"
          "\"two\nlines\",,x \"y\" z,\"\",\"D\",\n"
          "\n"
          "last,1");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].fields, (Fields{"What?", "a", "b, c", "say \"no\"", "NA", "None"}));
  EXPECT_EQ(records[1].fields, (Fields{"two\nlines", "", "x \"y\" z", "", "D", ""}));
  EXPECT_EQ(records[1].line, 2U);
  EXPECT_EQ(records[2].fields, (Fields{"last", "1"}));
  EXPECT_EQ(records[2].line, 5U);
  EXPECT_TRUE(csv("").empty());
}

TEST(Csv, ErrorsNameTheLine) {
  const auto rejects = [](const std::string& content, int line, const std::string& what) {
    expect_error(ErrorCode::bad_data, {fmt::format("t.csv: line {}: ", line), what},
                 [&] { (void)csv(content); });
  };
  rejects("a,b\nc,\"d\ne,f\n", 2, "never closed");
  rejects("\"", 1, "never closed");
  rejects("a,\"b\"c\n", 1, "behind a closing quote");
  rejects("a,b\nc,\xff\n", 2, "not UTF-8");
}

TEST(Jsonl, ReadsObjectsAndNamesTheLine) {
  const ScratchFolder folder;
  const auto records = read_jsonl(folder.write("t.jsonl", "{\"a\": \"NA\"}\r\n\n {\"a\": 2}"));
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].value["a"], "NA");
  EXPECT_EQ(records[1].line, 3U);
  const auto rejects = [&](const std::string& content, const std::string& what) {
    expect_error(ErrorCode::bad_data, {"t.jsonl", what},
                 [&] { (void)read_jsonl(folder.write("t.jsonl", content)); });
  };
  rejects("", "nothing in it");
  rejects("\n \n", "nothing in it");
  rejects("{}\n{\"a\": }\n", "line 2");
  rejects("{}\n[1]\n", "line 2: a JSON object is needed");
  rejects("{}\n{\"a\": \"\xff\"}\n", "line 2: the text is not UTF-8");
}

TEST(LabelledTokens, ReadsWhatTorchSaved) {
  const char* shared = std::getenv("ASSAY_SHARED");
  const auto data = std::filesystem::path(shared == nullptr ? "" : shared) / "data" / "sst2";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "ASSAY_SHARED has no data/sst2";
  const auto rows = read_labelled_tokens(data / "pretokenized");
  const auto texts = read_labelled_tsv(data / "eval2000.tsv");
  ASSERT_EQ(rows.size(), 100U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].label, texts[i].label) << i;
    EXPECT_EQ(rows[i].ids.front(), 101) << i;  // [CLS]
    EXPECT_EQ(rows[i].ids.back(), 102) << i;   // [SEP]: padding is gone
  }
}

/// A .npy file of version 1 with 64-bit integers.
std::string npy(const std::string& shape, const std::vector<std::int64_t>& values) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');
  header += '\n';
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8) + char(118) + '\0' + header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof values[0]);
  return bytes;
}

TEST(LabelledTokens, ChecksShapesAndValues) {
  const ScratchFolder folder;
  const auto put = [&](const std::string& name, const std::string& shape,
                       const std::vector<std::int64_t>& values) {
    (void)folder.write(name + ".npy", npy(shape, values));
  };
  const auto rejects = [&](const std::string& what) {
    expect_error(ErrorCode::bad_data, {what}, [&] { (void)read_labelled_tokens(folder.path()); });
  };
  rejects("there is no input_ids");
  put("input_ids", "(2, 3)", {5, 6, 0, 7, 0, 0});
  rejects("there is no labels");
  put("labels", "(3,)", {1, 0, 1});
  rejects("3 labels for 2 samples");
  put("labels", "(2,)", {1, 0});
  const auto all = read_labelled_tokens(folder.path());
  EXPECT_EQ(all.at(1).ids, (std::vector<int>{7, 0, 0}));
  put("attention_mask", "(2, 3)", {1, 1, 0, 1, 0, 0});
  const auto masked = read_labelled_tokens(folder.path());
  EXPECT_EQ(masked.at(0).ids, (std::vector<int>{5, 6}));
  EXPECT_EQ(masked.at(1).label, 0);
  put("attention_mask", "(2, 3)", {1, 1, 0, 0, 0, 0});
  rejects("sample 1 has no tokens");
  put("attention_mask", "(6,)", {1, 1, 0, 1, 0, 0});
  rejects("its shape is not that of the ids");
  put("attention_mask", "(2, 3)", {1, 1, 1, 1, 1, 1});
  put("input_ids", "(2, 3)", {5, -6, 0, 7, 0, 0});
  rejects("-6 is no token id");
}

}  // namespace
}  // namespace assay::files
