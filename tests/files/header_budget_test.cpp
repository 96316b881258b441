#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "files/file_bytes.h"
#include "files/gguf.h"
#include "files/safetensors.h"

// Files whose every count is true, but which would take many times their size once parsed.

namespace assay::files {
namespace {

using testing::expect_error;
using testing::FileBytes;
using testing::raw_file;

FileBytes gguf_with_one_key(std::uint32_t type) {
  FileBytes f;
  f.raw("GGUF").number(std::uint32_t{3}).number(std::uint64_t{0}).number(std::uint64_t{1});
  f.text("k").number(type);
  return f;
}

TEST(HeaderBudget, StopsArraysOfSmallElements) {
  constexpr std::uint64_t kCount = 7 << 20;  // 16 bytes each as JSON
  FileBytes f = gguf_with_one_key(9);
  f.number(std::uint32_t{0}).mark("count").number(kCount).raw(std::string(kCount, '\0'));
  expect_error(ErrorCode::bad_data,
               {fmt::format("m: field 'k' at byte {}: 7340032 x 16 bytes", f.at("count")),
                "over the 96 MiB"},
               [&] { (void)read_gguf(raw_file(f.data(), "m")); });
}

TEST(HeaderBudget, StopsArraysOfShortTexts) {
  constexpr std::uint64_t kCount = 3 << 19;
  FileBytes f = gguf_with_one_key(9);
  f.number(std::uint32_t{8}).number(kCount).raw(std::string(kCount * 8, '\0'));
  expect_error(ErrorCode::bad_data, {"m: field 'k' at byte ", "over the 96 MiB"},
               [&] { (void)read_gguf(raw_file(f.data(), "m")); });
}

TEST(HeaderBudget, StopsMetadataOfManyKeys) {
  std::string header = R"({"__metadata__":{"0":"")";
  for (int i = 1; i < 600'000; ++i) header += fmt::format(",\"{}\":\"\"", i);
  header += "}}";
  expect_error(ErrorCode::bad_data, {"m: field '", "over the 96 MiB"},
               [&] { (void)read_safetensors(raw_file(testing::safetensors(header, 0), "m")); });
}

TEST(HeaderBudget, StopsManyTensors) {
  std::string header = "{";
  for (int i = 0; i < 600'000; ++i) {
    header += fmt::format("\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},", i);
  }
  header.back() = '}';
  expect_error(ErrorCode::bad_data, {"m: field '", "over the 96 MiB"},
               [&] { (void)read_safetensors(raw_file(testing::safetensors(header, 0), "m")); });
}

// The largest vocabularies that are in use must pass.
TEST(HeaderBudget, LeavesRoomForLargeVocabularies) {
  constexpr std::uint64_t kTokens = 262'144;
  constexpr std::uint64_t kMerges = 514'906;
  FileBytes f;
  f.raw("GGUF").number(std::uint32_t{3}).number(std::uint64_t{0}).number(std::uint64_t{4});
  f.text("tokens").number(std::uint32_t{9}).number(std::uint32_t{8}).number(kTokens);
  for (std::uint64_t i = 0; i < kTokens; ++i) f.text(i % 8 == 0 ? "a_longer_token_abc" : "token");
  f.text("scores").number(std::uint32_t{9}).number(std::uint32_t{6}).number(kTokens);
  f.raw(std::string(kTokens * 4, '\0'));
  f.text("types").number(std::uint32_t{9}).number(std::uint32_t{5}).number(kTokens);
  f.raw(std::string(kTokens * 4, '\0'));
  f.text("merges").number(std::uint32_t{9}).number(std::uint32_t{8}).number(kMerges);
  for (std::uint64_t i = 0; i < kMerges; ++i) f.text("merge me");
  const TensorFile file = read_gguf(raw_file(f.data(), "m"));
  EXPECT_EQ(file.metadata()["merges"].size(), kMerges);
}

}  // namespace
}  // namespace assay::files
