#include "files/gguf.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/scratch_folder.h"
#include "files/file_bytes.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::FileBytes;
using testing::raw_file;
using testing::sample_gguf;

TensorFile parse(const FileBytes& bytes) { return read_gguf(raw_file(bytes.data(), "m.gguf")); }

TEST(Gguf, ReadsEveryTypeOfValue) {
  const TensorFile file = parse(sample_gguf());
  EXPECT_EQ(file.format(), "gguf");
  const Json expected = {{"general.architecture", "llama"},
                         {"general.alignment", 64},
                         {"u8", 200},
                         {"i8", -2},
                         {"u16", 65535},
                         {"i16", -300},
                         {"i32", -70000},
                         {"f32", 0.5},
                         {"flag", true},
                         {"u64", std::uint64_t{1} << 40},
                         {"i64", -(std::int64_t{1} << 40)},
                         {"f64", 0.25},
                         {"tokens", {"a", "a longer text than SSO", ""}},
                         {"ids", {7, -1}},
                         {"none", Json::array()}};
  EXPECT_EQ(file.metadata(), expected);
}

TEST(Gguf, ReadsTensorsWithReversedShapes) {
  const FileBytes bytes = sample_gguf();
  const TensorFile file = parse(bytes);
  ASSERT_EQ(file.tensors().size(), 6U);
  EXPECT_EQ(file.tensors()[0].name, "norm.weight");  // in the file's order

  const StoredTensor* q = file.find("q.weight");
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(q->type, "Q4_0");
  EXPECT_TRUE(q->is_weight);
  EXPECT_EQ(q->encoding, precision::Encoding::q4_0);
  EXPECT_EQ(q->shape, (std::vector<std::int64_t>{2, 64}));
  EXPECT_EQ(q->offset, bytes.at("data") + 64);
  EXPECT_EQ(q->bytes.size(), 72U);
  EXPECT_EQ(file.find("cube.weight")->shape, (std::vector<std::int64_t>{4, 3, 2}));
  EXPECT_EQ(file.find("cube.weight")->bytes.size(), 48U);
  EXPECT_FALSE(file.find("ids.tensor")->is_weight);
  EXPECT_EQ(file.find("k.weight")->bytes.size(), 144U);
  EXPECT_EQ(file.find("k.weigh"), nullptr);
  EXPECT_EQ(file.find("k.weight2"), nullptr);
}

TEST(Gguf, EncodedBorrowsMatrices) {
  precision::EncodedTensor norm;
  precision::EncodedTensor cube;
  {
    const TensorFile file = parse(sample_gguf());
    norm = file.encoded(*file.find("norm.weight"));
    cube = file.encoded(*file.find("cube.weight"));
  }
  // The file is gone; the tensors keep its bytes.
  EXPECT_EQ(norm.rows, 1);
  EXPECT_EQ(norm.cols, 3);
  std::vector<float> row(3);
  precision::info(norm.encoding).decode_row(norm, 0, row);
  EXPECT_EQ(row, (std::vector<float>{1.0F, -2.0F, 3.0F}));
  EXPECT_EQ(cube.rows, 12);
  EXPECT_EQ(cube.cols, 2);
  EXPECT_EQ(cube.encoding, precision::Encoding::bf16);
}

TEST(Gguf, WhatCannotBeDecodedSaysSo) {
  const TensorFile file = parse(sample_gguf());
  expect_error(ErrorCode::bad_data, {"m.gguf: field 's.weight'", "is Q8_1"},
               [&] { (void)file.encoded(*file.find("s.weight")); });
  expect_error(ErrorCode::bad_data, {"m.gguf: field 'ids.tensor'", "is I32"},
               [&] { (void)file.encoded(*file.find("ids.tensor")); });
}

/// One way to be malformed: what is changed, and the field, the mark of the position and the words
/// that the message must have.
struct BadGguf {
  std::string name;
  std::function<void(FileBytes&)> change;
  std::string field;
  std::string mark;
  std::string what;
  std::size_t past = 0;  ///< the position is so far behind the mark
};

template <typename T>
std::function<void(FileBytes&)> patch(const std::string& mark, T value, std::size_t past = 0) {
  return [=](FileBytes& f) { f.patch(mark, value, past); };
}

std::vector<BadGguf> bad_gguf() {
  using u32 = std::uint32_t;
  using u64 = std::uint64_t;
  constexpr u64 kHuge = ~u64{0};
  constexpr std::size_t kText = 8;  // from a text's length to its first byte
  return {
      {"magic", patch("magic", u32{0x46554748}), "magic", "magic", "no GGUF file"},
      {"version1", patch("version", u32{1}), "version", "version", "version 1 is not supported"},
      {"version4", patch("version", u32{4}), "version", "version", "version 4 is not supported"},
      {"big_endian", patch("version", u32{3} << 24), "version", "version", "big-endian"},
      {"tensor_count", patch("tensor_count", kHuge), "tensor_count", "tensor_count",
       "the number of tensors is 18446744073709551615, but the file has only"},
      {"tensor_count_wraps", patch("tensor_count", kHuge / 25 + 2), "tensor_count", "tensor_count",
       "the number of tensors"},
      {"kv_count", patch("kv_count", u64{1} << 60), "kv_count", "kv_count", "the number of keys"},
      {"key_length", patch("u8", kHuge - 7), "key 2", "u8",
       "the key is 18446744073709551608 bytes"},
      {"key_empty", patch("u8", u64{0}), "key 2", "u8", "the key is empty"},
      {"key_no_utf8", patch("u8", '\xff', kText), "key 2", "u8", "the key is not UTF-8", kText},
      {"key_twice", patch("i8", 'u', kText), "u8", "i8", "the key is there twice"},
      {"value_type", patch("u8.type", u32{13}), "u8", "u8.type", "unknown value type 13"},
      {"truth", patch("flag.value", std::uint8_t{2}), "flag", "flag.value", "0 or 1, not 2"},
      {"text_length", patch("general.architecture.value", u64{1} << 63), "general.architecture",
       "general.architecture.value", "9223372036854775808 bytes long, but the file has only"},
      {"text_no_utf8", patch("tokens.0", '\xff', kText), "tokens", "tokens.0", "is not UTF-8",
       kText},
      {"array_nested", patch("tokens.value", u32{9}), "tokens", "tokens.value",
       "an array of arrays"},
      {"array_type", patch("tokens.value", u32{77}), "tokens", "tokens.value",
       "unknown value type 77"},
      {"array_count", patch("ids.count", u64{1} << 62), "ids", "ids.count",
       "the number of elements is 4611686018427387904"},
      {"array_text_length", patch("tokens.1", kHuge), "tokens", "tokens.1", "bytes long"},
      {"alignment_zero", patch("general.alignment.value", u32{0}), "general.alignment",
       "general.alignment.value", "a power of two from 8 to 1048576, not 0"},
      {"alignment_odd", patch("general.alignment.value", u32{48}), "general.alignment",
       "general.alignment.value", "not 48"},
      {"alignment_small", patch("general.alignment.value", u32{4}), "general.alignment",
       "general.alignment.value", "not 4"},
      {"alignment_large", patch("general.alignment.value", u32{1} << 21), "general.alignment",
       "general.alignment.value", "not 2097152"},
      {"alignment_type", patch("general.alignment.type", u32{6}), "general.alignment",
       "general.alignment.value", "must be an unsigned integer"},
      {"name_length", patch("q.weight", kHuge), "tensor 1", "q.weight", "bytes long, but"},
      {"name_long", patch("q.weight", u64{65}), "tensor 1", "q.weight",
       "65 bytes long; 64 are allowed"},
      {"name_empty", patch("q.weight", u64{0}), "tensor 1", "q.weight", "the name is empty"},
      {"name_no_utf8", patch("q.weight", '\xff', kText), "tensor 1", "q.weight", "is not UTF-8",
       kText},
      {"name_twice", patch("k.weight", 'q', kText), "q.weight", "k.weight",
       "a second tensor of this name"},
      {"dimensions", patch("q.weight.dims", u32{5}), "q.weight", "q.weight.dims",
       "5 dimensions; at most 4"},
      {"dimension_zero", patch("q.weight.dim1", u64{0}), "q.weight", "q.weight.dim1",
       "dimension 1 must be from 1"},
      {"dimension_negative", patch("q.weight.dim1", kHuge), "q.weight", "q.weight.dim1",
       "dimension 1 must be from 1"},
      {"product", patch("cube.weight.dim1", u64{1} << 62), "cube.weight", "cube.weight",
       "overflows"},
      {"byte_product", patch("norm.weight.dim0", (u64{1} << 61) + 1), "norm.weight", "norm.weight",
       "shape [2305843009213693953] of F32 overflows"},
      {"block", patch("q.weight.dim0", u64{63}), "q.weight", "q.weight",
       "63 elements fill no whole Q4_0 blocks of 32"},
      {"row_block",
       [](FileBytes& f) { f.patch("q.weight.dim0", u64{16}).patch("q.weight.dim1", u64{8}); },
       "q.weight", "q.weight", "16 elements fill no whole Q4_0 blocks of 32"},
      {"tensor_type", patch("q.weight.type", u32{4}), "q.weight", "q.weight.type",
       "unknown tensor type 4"},
      {"tensor_type_huge", patch("q.weight.type", ~u32{0}), "q.weight", "q.weight.type",
       "unknown tensor type 4294967295"},
      {"offset_misaligned", patch("q.weight.offset", u64{65}), "q.weight", "q.weight.offset",
       "offset 65 is no multiple of the alignment 64"},
      {"offset_wraps", patch("q.weight.offset", kHuge - 63), "q.weight", "q.weight.offset",
       "overflows"},
      {"offset_beyond", patch("k.weight.offset", u64{448}), "k.weight", "k.weight",
       "reach beyond the end of the file"},
      {"overlap", patch("q.weight.offset", u64{0}), "q.weight", "q.weight",
       "overlaps 'norm.weight'"},
      {"truncated", [](FileBytes& f) { f.truncate(f.data().size() - 1); }, "k.weight", "k.weight",
       "144 bytes at byte"},
      {"no_data", [](FileBytes& f) { f.truncate(f.at("k.weight.offset") + 8); }, "norm.weight",
       "norm.weight", "reach beyond the end"},
  };
}

class MalformedGguf : public ::testing::TestWithParam<BadGguf> {};

TEST_P(MalformedGguf, IsRefusedWithFieldAndPosition) {
  const BadGguf& p = GetParam();
  FileBytes bytes = sample_gguf();
  p.change(bytes);
  const std::string place =
      fmt::format("m.gguf: field '{}' at byte {}: ", p.field, bytes.at(p.mark) + p.past);
  const std::string message =
      expect_error(ErrorCode::bad_data, {place, p.what}, [&] { (void)parse(bytes); });
  EXPECT_EQ(message.rfind(place, 0), 0U);
}

INSTANTIATE_TEST_SUITE_P(Every, MalformedGguf, ::testing::ValuesIn(bad_gguf()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace assay::files
