#include "files/shard_index.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/scratch_folder.h"
#include "files/file_bytes.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::safetensors;
using testing::ScratchFolder;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

std::string map_of(const std::string& entries) {
  return R"({"metadata": {"total_size": 28, "parts": [1, {"a": "b"}]}, "weight_map": {)" + entries +
         "}}";
}

std::string good_index() {
  return map_of(fmt::format(R"("norm": "{1}", "embed": "{0}", "head": "{1}")", kFirst, kSecond));
}

/// embed in the first file; norm and head in the second.
void write_shards(const ScratchFolder& folder) {
  folder.write(kFirst,
               safetensors(R"({"__metadata__":{"format":"pt"},)"
                           R"("embed":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}})",
                           12));
  folder.write(kSecond, safetensors(R"({"norm":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                    R"("head":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}})",
                                    16));
}

TEST(ShardIndex, JoinsTheFilesItNames) {
  const ScratchFolder folder;
  write_shards(folder);
  precision::EncodedTensor norm;
  {
    const TensorFile file = open_tensor_file(folder.write(kIndex, good_index()));
    EXPECT_EQ(file.format(), "safetensors");
    EXPECT_EQ(file.path(), folder.path() / kIndex);
    EXPECT_EQ(file.parts(), (std::vector{folder.path() / kFirst, folder.path() / kSecond}));
    EXPECT_EQ(file.metadata(), Json({{"__metadata__", {{"format", "pt"}}}}));
    ASSERT_EQ(file.tensors().size(), 3U);
    EXPECT_EQ(file.find("embed")->part, 0U);
    EXPECT_EQ(file.find("embed")->bytes[11], std::byte{11});
    EXPECT_EQ(file.find("head")->part, 1U);
    EXPECT_EQ(file.find("head")->bytes[0], std::byte{8});
    EXPECT_EQ(file.find("absent"), nullptr);
    norm = file.encoded(*file.find("norm"));
    expect_error(ErrorCode::bad_data, {std::string(kSecond) + ": field 'head'", "is I64"},
                 [&] { (void)file.encoded(*file.find("head")); });
  }
  // The file is gone; the tensor keeps its part mapped.
  ASSERT_EQ(norm.codes.bytes.size(), 8U);
  EXPECT_EQ(norm.codes.bytes[7], std::byte{7});
}

struct BadIndex {
  std::string name;
  std::string index;
  std::string key;  ///< stands in the index where the error is; empty: byte 0
  std::string field;
  std::string what;
};

std::vector<BadIndex> bad_indices() {
  const auto entry = [](const std::string& file) {
    return map_of(fmt::format(R"("embed": "{}")", file));
  };
  const std::string embed = "\"embed\"";
  const std::string map = "\"weight_map\"";
  return {
      {"array", "[]", "", "header", "must be a JSON object"},
      {"text", "\"x\"", "", "header", "must be a JSON object"},
      {"no_json", "hello", "", "header", "not valid JSON"},
      {"cut", R"({"weight_map": {"a")", "", "header", "not valid JSON"},
      {"no_map", R"({"metadata": {}})", "", "weight_map", "is missing"},
      {"map_inside", R"({"metadata": {"weight_map": {"embed": "x"}}})", "", "weight_map",
       "is missing"},
      {"empty_map", map_of(""), "", "weight_map", "names no tensor"},
      {"map_array", R"({"weight_map": []})", map, "weight_map", "must be an object"},
      {"map_text", R"({"weight_map": "x"})", map, "weight_map", "must be an object"},
      {"map_twice", R"({"weight_map": {"a": "b"}, "weight_map": {}})", map, "weight_map",
       "the key is there twice"},
      {"number", map_of(R"("embed": 1)"), embed, "embed", "must be the name of a file"},
      {"null", map_of(R"("embed": null)"), embed, "embed", "must be the name of a file"},
      {"list", map_of(R"("embed": ["a"])"), embed, "embed", "must be the name of a file"},
      {"object", map_of(R"("embed": {"a": "b"})"), embed, "embed", "must be the name of a file"},
      {"name_twice", map_of(fmt::format(R"("embed": "{0}", "\u0065mbed": "{0}")", kFirst)),
       R"("\u0065mbed")", "embed", "the tensor is named twice; the first time at byte"},
      {"parent", entry("../x.safetensors"), embed, "embed", "'../x.safetensors' is no plain name"},
      {"absolute", entry("/etc/passwd"), embed, "embed", "no plain name"},
      {"folder", entry("sub/x.safetensors"), embed, "embed", "no plain name"},
      {"backslash", entry(R"(..\\x)"), embed, "embed", "no plain name"},
      {"nul", entry(R"(x\u0000y)"), embed, "embed", "no plain name"},
      {"no_name", entry(""), embed, "embed", "no plain name"},
      {"dots", entry(".."), embed, "embed", "no plain name"},
      {"itself", entry(kIndex), embed, "embed", "is an index, not a file with tensors"},
      {"wrong_shard", map_of(fmt::format(R"("embed": "{1}", "norm": "{0}")", kFirst, kSecond)),
       embed, "embed", std::string(kSecond) + " holds no such tensor; it is in " + kFirst},
      {"absent_tensor", map_of(fmt::format(R"("embed": "{0}", "nor": "{0}")", kFirst)), "\"nor\"",
       "nor", std::string(kFirst) + " holds no such tensor"},
  };
}

class MalformedIndex : public ::testing::TestWithParam<BadIndex> {};

TEST_P(MalformedIndex, IsRefusedWithFieldAndPosition) {
  const BadIndex& p = GetParam();
  const ScratchFolder folder;
  write_shards(folder);
  const auto path = folder.write(kIndex, p.index);
  const std::string message = expect_error(
      ErrorCode::bad_data, {fmt::format("{}: field '{}' at byte ", path.string(), p.field), p.what},
      [&] { (void)open_tensor_file(path); });
  if (p.key.empty()) return;
  EXPECT_NE(message.find(fmt::format(" at byte {}: ", p.index.rfind(p.key))), std::string::npos)
      << message;
}

INSTANTIATE_TEST_SUITE_P(Every, MalformedIndex, ::testing::ValuesIn(bad_indices()),
                         [](const auto& info) { return info.param.name; });

TEST(ShardIndex, FaultsOfAPartNameThePart) {
  const ScratchFolder folder;
  write_shards(folder);
  const auto path = folder.write(kIndex, good_index());
  const auto open = [&] { (void)open_tensor_file(path); };
  folder.write(kSecond,
               safetensors(R"({"norm":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7));
  expect_error(ErrorCode::bad_data, {std::string(kSecond) + ": field 'norm'", "end at 8"}, open);
  folder.write(kSecond, safetensors(R"({"norm":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                    R"("embed":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})",
                                    9));
  expect_error(ErrorCode::bad_data,
               {std::string(kSecond) + ": field 'embed'", "a second tensor", kFirst}, open);
  folder.write(kSecond, testing::sample_gguf().data());
  expect_error(ErrorCode::bad_data, {kIndex, std::string(kSecond) + " is a GGUF file"}, open);
  std::filesystem::remove(folder.path() / kSecond);
  expect_error(ErrorCode::io, {kSecond, "No such file"}, open);
}

// Every change of one byte is an error or a file whose tensors can be read.
TEST(ShardIndex, DamagedBytesAreRefusedOrHarmless) {
  const ScratchFolder folder;
  write_shards(folder);
  const std::string good = good_index();
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char flip : {'\x01', '\x04', '\x20', '\x80'}) {
      std::string bytes = good;
      bytes[at] ^= flip;
      try {
        EXPECT_EQ(open_tensor_file(folder.write(kIndex, bytes)).tensors().size(), 3U);
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
        const bool io = error.code() == ErrorCode::io;  // the name of a file that is not there
        EXPECT_TRUE(io || error.code() == ErrorCode::bad_data) << error.what();
      }
    }
  }
  EXPECT_GT(refused, static_cast<int>(good.size()));
}

TEST(ShardIndex, NamesHaveABudget) {
  const ScratchFolder folder;
  std::string entries;
  for (int i = 0; i < 900'000; ++i) entries += fmt::format("\"{}\":\"a\",", i);
  entries.back() = ' ';
  const auto path = folder.write(kIndex, map_of(entries));
  expect_error(ErrorCode::bad_data, {"the names take more than the 48 MiB"},
               [&] { (void)read_shard_index(path); });
}

TEST(ShardIndex, IsFoundInAFolder) {
  const ScratchFolder folder;
  write_shards(folder);
  const auto index = folder.write(kIndex, good_index());
  expect_error(ErrorCode::bad_data, {"config.json is missing beside model.safetensors.index.json"},
               [&] { (void)locate_model(folder.path()); });
  folder.write("config.json", "{}");
  for (const auto& given : {folder.path(), index}) {
    const ModelFiles files = locate_model(given);
    EXPECT_EQ(files.weights, index);
    EXPECT_EQ(files.config, folder.path() / "config.json");
    EXPECT_EQ(files.shards, (std::vector{folder.path() / kFirst, folder.path() / kSecond}));
  }
  folder.write("model.safetensors", safetensors("{}", 0));
  EXPECT_TRUE(locate_model(folder.path()).shards.empty());
}

TEST(ShardIndex, TheHashIsOfEveryPart) {
  const ScratchFolder folder;
  ::setenv("ASSAY_CACHE", (folder.path() / "cache").c_str(), 1);
  write_shards(folder);
  const auto index = folder.write(kIndex, good_index());
  const std::string before = content_hash(locate_model(index));
  std::string second =
      safetensors(R"({"norm":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16);
  folder.write(kSecond, second);
  const std::string changed = content_hash(locate_model(index));
  EXPECT_NE(before, changed);
  second.back() ^= 1;
  folder.write(kSecond, second);
  EXPECT_NE(content_hash(locate_model(index)), changed);
  ::unsetenv("ASSAY_CACHE");
}

}  // namespace
}  // namespace assay::files
