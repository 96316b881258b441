#include "files/table_file.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/scratch_folder.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

std::vector<LabelledText> parse_table(const std::string& content) {
  const ScratchFolder folder;
  return read_labelled_tsv(folder.write("t.tsv", content));
}

TEST(LabelledTsv, ReadsTheGlueForm) {
  const auto rows = parse_table("sentence\tlabel\ngood \t1\n\"quoted\" , it 's\t0\n");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text, "good ");  // blanks belong to the text
  EXPECT_EQ(rows[0].label, 1);
  EXPECT_EQ(rows[1].text, "\"quoted\" , it 's");  // and so do quotes
  EXPECT_EQ(rows[1].label, 0);
}

TEST(LabelledTsv, FindsItsColumnsByName) {
  const auto rows = parse_table("\xef\xbb\xbfidx\tlabel\ttext\r\n7\t12\th\xc3\xa9\r\n8\t0\t");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text, "h\xc3\xa9");
  EXPECT_EQ(rows[0].label, 12);
  EXPECT_EQ(rows[1].text, "");
}

TEST(LabelledTsv, ErrorsNameTheLine) {
  const auto rejects = [](const std::string& content, int line, const std::string& what) {
    expect_error(ErrorCode::bad_data, {fmt::format("t.tsv: line {}: ", line), what},
                 [&] { (void)parse_table(content); });
  };
  rejects("", 1, "the header must name a column");
  rejects("a,label\nx,1\n", 1, "it is 'a,label'");
  rejects("sentence1\tsentence2\tlabel\n", 1, "the header must name a column");
  rejects("text\tsentence\tlabel\n", 1, "more than one text column");
  rejects("sentence\tlabel\n", 1, "no rows");
  rejects("sentence\tlabel\na\t1\nb\n", 3, "1 columns, but the header names 2");
  rejects("sentence\tlabel\na\tb\t1\n", 2, "3 columns, but the header names 2");
  rejects("sentence\tlabel\na\t1\n\nb\t1\n", 3, "1 columns");
  for (const char* label : {"", "x", "1.0", " 1", "1 ", "-1", "99999999999"}) {
    rejects(fmt::format("sentence\tlabel\na\t{}\n", label), 2, "is not an integer from 0");
  }
  rejects("sentence\tlabel\n\xff\t1\n", 2, "not UTF-8");
}

TEST(LabelledTsv, ReadsSst2) {
  const char* shared = std::getenv("ASSAY_SHARED");
  const std::filesystem::path root =
      shared != nullptr ? shared : std::filesystem::path(ASSAY_SOURCE_DIR) / ".." / "shared";
  const auto path = root / "data" / "sst2" / "eval2000.tsv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is missing";
  const auto rows = read_labelled_tsv(path);
  EXPECT_EQ(rows.size(), 2000U);
  for (const LabelledText& row : rows) EXPECT_TRUE(row.label == 0 || row.label == 1);
  EXPECT_TRUE(
      rows[1].text.starts_with("other than the slightly flawed ( and fairly unbelievable )"));
}

}  // namespace
}  // namespace assay::files
