#include "files/gguf_split.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "files/file_bytes.h"
#include "files/gguf.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::FileBytes;
using testing::ScratchFolder;

struct Part {
  std::uint16_t number = 0;  ///< split.no, from 0
  std::uint16_t count = 2;
  std::int32_t tensors = 2;
  std::string tensor = "a";
};

/// A part with one F32 tensor of two values, both `part.number`, as gguf-split writes it.
std::string part_bytes(const Part& part, std::uint32_t version = 3) {
  FileBytes f;
  f.raw("GGUF").number(version).number(std::uint64_t{1}).number(std::uint64_t{4});
  f.text("split.no").number(std::uint32_t{2}).number(part.number);
  f.text("split.count").number(std::uint32_t{2}).number(part.count);
  f.text("split.tensors.count").number(std::uint32_t{5}).number(part.tensors);
  f.text("mark").number(std::uint32_t{2}).number(part.number);
  f.text(part.tensor).number(std::uint32_t{1}).number(std::uint64_t{2});
  f.number(std::uint32_t{0}).number(std::uint64_t{0}).pad(32);
  return f.number(float(part.number)).number(float(part.number)).data();
}

class GgufSplit : public ::testing::Test {
 protected:
  GgufSplit() {
    first_ = folder_.write("m-00001-of-00002.gguf", part_bytes({0, 2, 2, "a"}));
    second_ = folder_.write("m-00002-of-00002.gguf", part_bytes({1, 2, 2, "b"}));
  }
  void rejects(const std::filesystem::path& file, const std::string& field,
               const std::string& what) const {
    expect_error(ErrorCode::bad_data, {file.string() + ": field '" + field + "'", what},
                 [&] { (void)open_tensor_file(first_); });
  }
  ScratchFolder folder_;
  std::filesystem::path first_;
  std::filesystem::path second_;
};

TEST_F(GgufSplit, AnyPartOpensAll) {
  for (const auto& given : {first_, second_}) {
    const TensorFile file = open_tensor_file(given);
    EXPECT_EQ(file.format(), "gguf");
    EXPECT_EQ(file.path(), first_);
    EXPECT_EQ(file.parts(), (std::vector{first_, second_}));
    EXPECT_EQ(file.metadata()["mark"], 0);
    ASSERT_EQ(file.tensors().size(), 2U);
    const auto b = file.encoded(*file.find("b"));
    std::vector<float> row(2);
    precision::info(b.encoding).decode_row(b, 0, row);
    EXPECT_EQ(row, (std::vector<float>{1.0F, 1.0F}));
    EXPECT_EQ(file.find("b")->part, 1U);
  }
}

TEST_F(GgufSplit, AreFoundAsOneModel) {
  for (const auto& given : {folder_.path(), first_, second_}) {
    const ModelFiles files = locate_model(given);
    EXPECT_EQ(files.weights, first_);
    EXPECT_EQ(files.shards, std::vector{second_});
  }
  folder_.write("other.gguf", part_bytes({0, 1, 1, "a"}));
  expect_error(ErrorCode::bad_data, {"2 models in .gguf files", "m-00001-of-00002.gguf"},
               [&] { (void)locate_model(folder_.path()); });
}

TEST_F(GgufSplit, WhatDoesNotFitIsRefused) {
  folder_.write("m-00002-of-00002.gguf", part_bytes({0, 2, 2, "b"}));
  rejects(second_, "split.no", "is 0, but the file's name says 1");
  folder_.write("m-00002-of-00002.gguf", part_bytes({1, 3, 2, "b"}));
  rejects(second_, "split.count", "is 3, but the file's name says 2");
  folder_.write("m-00002-of-00002.gguf", part_bytes({1, 2, 2, "a"}));
  rejects(second_, "a", "a second tensor of this name; the first is in ");
  folder_.write("m-00002-of-00002.gguf", testing::sample_gguf().data());
  rejects(second_, "split.count", "is missing");
  std::filesystem::remove(second_);
  expect_error(ErrorCode::io, {second_.string(), "No such file"},
               [&] { (void)open_tensor_file(first_); });
}

TEST_F(GgufSplit, TheTensorsAreCounted) {
  folder_.write("m-00001-of-00002.gguf", part_bytes({0, 2, 3, "a"}));
  rejects(first_, "split.tensors.count", "is 3, but the 2 files hold 2 tensors");
  folder_.write("m-00001-of-00002.gguf", part_bytes({0, 2, -1, "a"}));
  rejects(first_, "split.tensors.count", "must be an integer from 0");
}

TEST_F(GgufSplit, APartMustKeepItsName) {
  const auto renamed = folder_.write("renamed.gguf", part_bytes({0, 2, 2, "a"}));
  expect_error(ErrorCode::bad_data, {"renamed.gguf: field 'split.count'", "must keep its name"},
               [&] { (void)open_tensor_file(renamed); });
}

TEST(SplitName, IsRead) {
  const auto name = split_name("folder/m-00002-of-00003.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "m");
  EXPECT_EQ(name->number, 2U);
  EXPECT_EQ(name->count, 3U);
  for (const char* wrong :
       {"m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-0001-of-00003.gguf",
        "-00001-of-00003.gguf", "m-00001-of-00003.bin", "m-00001_of-00003.gguf",
        "m-0000x-of-00003.gguf", "00001-of-00003.gguf", ".gguf"}) {
    EXPECT_FALSE(split_name(wrong)) << wrong;
  }
}

TEST(Gguf, Version2IsReadAsVersion3) {
  const auto read = [](std::uint32_t version) {
    return read_gguf(testing::raw_file(part_bytes({0, 1, 1, "a"}, version), "m.gguf"));
  };
  EXPECT_EQ(read(2).metadata(), read(3).metadata());
  EXPECT_EQ(read(2).find("a")->offset, read(3).find("a")->offset);
}

}  // namespace
}  // namespace assay::files
