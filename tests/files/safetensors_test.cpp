#include "files/safetensors.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "files/file_bytes.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::raw_file;
using testing::safetensors;

const char* const kGood = R"({"__metadata__":{"format":"pt","n":""},)"
                          R"("b":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]},)"
                          R"("a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                          R"("empty":{"data_offsets":[20,20],"shape":[0,4],"dtype":"F32"},)"
                          R"("scalar":{"dtype":"BF16","shape":[],"data_offsets":[20,22]},)"
                          R"("q":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[22,24]},)"
                          R"("tiny":{"dtype":"F4","shape":[2,2],"data_offsets":[24,26]}}   )";
constexpr std::size_t kGoodData = 26;

TensorFile parse_safetensors(const std::string& content) {
  return read_safetensors(raw_file(content, "m.safetensors"));
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const TensorFile file = parse_safetensors(safetensors(kGood, kGoodData));
  EXPECT_EQ(file.format(), "safetensors");
  EXPECT_EQ(file.metadata(), Json({{"__metadata__", {{"format", "pt"}, {"n", ""}}}}));
  ASSERT_EQ(file.tensors().size(), 6U);
  const StoredTensor* b = file.find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, "F16");
  EXPECT_EQ(b->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(b->offset, 8 + std::string_view(kGood).size() + 8);
  EXPECT_EQ(b->bytes.size(), 12U);
  EXPECT_EQ(b->bytes[0], std::byte{8});
  EXPECT_TRUE(b->is_weight);
  EXPECT_FALSE(file.find("a")->is_weight);
  EXPECT_FALSE(file.find("q")->is_weight);
  EXPECT_EQ(file.find("tiny")->bytes.size(), 2U);
  EXPECT_EQ(file.encoded(*file.find("scalar")).elements(), 1);
  EXPECT_EQ(file.encoded(*file.find("empty")).elements(), 0);
  expect_error(ErrorCode::bad_data, {"m.safetensors: field 'a'", "is I64"},
               [&] { (void)file.encoded(*file.find("a")); });
}

TEST(Safetensors, AnEmptyFileOfTensorsIsValid) {
  EXPECT_TRUE(parse_safetensors(safetensors("{}", 0)).tensors().empty());
  EXPECT_EQ(parse_safetensors(safetensors("{}", 0)).metadata(), Json::object());
}

// Nothing in the format aligns the data; what is borrowed elsewhere is copied here.
TEST(Safetensors, MisalignedDataIsCopied) {
  for (std::size_t blanks = 0; blanks < 8; ++blanks) {
    const std::string header =
        R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})" + std::string(blanks, ' ');
    const TensorFile file = parse_safetensors(safetensors(header, 8));
    const auto w = file.encoded(file.tensors()[0]);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(w.codes.bytes.data()) % alignof(float), 0U);
    ASSERT_EQ(w.codes.bytes.size(), 8U);
    EXPECT_EQ(w.codes.bytes[7], std::byte{7});
  }
}

struct BadSafetensors {
  std::string name;
  std::string header;
  std::size_t data;
  std::string key;  ///< stands in the header where the error is, its quote included
  std::string field;
  std::string what;
};

std::string one(const std::string& body) { return R"({"w":{)" + body + "}}"; }

std::vector<BadSafetensors> bad_safetensors() {
  const std::string w = "\"w\"";
  return {
      {"unknown_dtype", one(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), 4, w, "w",
       "unknown dtype 'F31'"},
      {"dtype_type", one(R"("dtype":7,"shape":[1],"data_offsets":[0,4])"), 4, w, "w",
       "dtype must be a string"},
      {"dtype_array", one(R"("dtype":["F32"],"shape":[1],"data_offsets":[0,4])"), 4, w, "w",
       "dtype must be a string"},
      {"dtype_missing", one(R"("shape":[1],"data_offsets":[0,4])"), 4, w, "w", "dtype is missing"},
      {"shape_missing", one(R"("dtype":"F32","data_offsets":[0,4])"), 4, w, "w",
       "shape is missing"},
      {"offsets_missing", one(R"("dtype":"F32","shape":[1])"), 4, w, "w",
       "data_offsets is missing"},
      {"unknown_key", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1)"), 4, w, "w",
       "unknown key 'x'"},
      {"key_twice", one(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), 4, w,
       "w", "dtype is there twice"},
      {"shape_scalar", one(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), 4, w, "w",
       "shape must be an array"},
      {"shape_object", one(R"("dtype":"F32","shape":{},"data_offsets":[0,4])"), 4, w, "w",
       "shape must be an array"},
      {"shape_nested", one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), 4, w, "w",
       "shape must hold non-negative integers"},
      {"shape_negative", one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4, w, "w",
       "shape must hold non-negative integers"},
      {"shape_float", one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), 4, w, "w",
       "shape must hold non-negative integers"},
      {"shape_text", one(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])"), 4, w, "w",
       "shape must hold non-negative integers"},
      {"shape_number_overflow",
       one(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4])"), 4, w, "w",
       "shape overflows"},
      {"shape_number_huge",
       one(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4])"), 4, w, "w",
       "shape must hold non-negative integers"},
      {"shape_overflow",
       one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0, w, "w",
       "shape [4294967296, 4294967296] overflows"},
      {"bytes_overflow", one(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])"),
       0, w, "w", "overflows"},
      {"many_dimensions",
       one(R"("dtype":"F32","shape":[1)" +
           [] {
             std::string ones;
             for (int i = 0; i < 64; ++i) ones += ",1";
             return ones;
           }() +
           R"(],"data_offsets":[0,4])"),
       4, w, "w", "more than 64 numbers"},
      {"offsets_three", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), 4, w, "w",
       "data_offsets has 3 numbers"},
      {"offsets_one", one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4, w, "w",
       "data_offsets has 1 numbers"},
      {"offsets_reversed", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4, w, "w",
       "end at 0, before they begin at 4"},
      {"offsets_beyond", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 4, w, "w",
       "end at 8, but the file holds 4 bytes of data"},
      {"size", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4, w, "w",
       "shape [2] of F32 takes 8 bytes, but data_offsets give 4"},
      {"half_byte", one(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), 2, w, "w",
       "fill no whole F4 blocks"},
      {"entry_no_object", R"({"w":[1]})", 0, w, "w", "must be an object"},
      {"entry_scalar", R"({"w":null})", 0, w, "w", "must be an object"},
      {"tensor_twice",
       R"({"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
       R"("\u0076":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
       3, R"("\u0076")", "v", "a second tensor of this name; the first is described at byte 9"},
      {"hole_at_start", one(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])"), 2, w, "w",
       "after a hole of 1 bytes"},
      {"hole",
       R"({"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("w":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
       4, w, "w", "after a hole of 2 bytes"},
      {"overlap",
       R"({"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("w":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, w, "w", "overlaps 'v'"},
      {"metadata_no_object", R"({"__metadata__":"x"})", 0, R"("__metadata__")", "__metadata__",
       "must be an object"},
      {"metadata_number", R"({"__metadata__":{"k":1}})", 0, R"("k")", "k", "must be a string"},
      {"metadata_nested", R"({"__metadata__":{"k":{}}})", 0, R"("k")", "k", "must be a string"},
      {"metadata_key_twice", R"({"__metadata__":{"k":"1","\u006b":"2"}})", 0, R"("\u006b")", "k",
       "the key is there twice"},
      {"metadata_twice", R"({"__metadata__":{},"__metadata\u005f_":{}})", 0,
       R"("__metadata\u005f_")", "__metadata__", "the key is there twice"},
      {"ugly_name", "{\"a\\nb\\u001b\":1}", 0, "\"a\\n", "a\\nb\\x1b", "must be an object"},
      {"array", "[]", 0, "[", "header", "must begin with '{'"},
      {"blank_first", " {}", 0, " ", "header", "must begin with '{'"},
      {"no_utf8", "{\"\xff\":1}", 0, "\xff", "header", "not valid JSON"},
      {"cut", R"({"w":{"dtype":"F32")", 0, "", "header", "not valid JSON"},
      {"two_values", "{}{}", 0, "", "header", "not valid JSON"},
      {"deep", R"({"w":)" + std::string(100, '['), 0, std::string(37, '['), "header",
       "nested deeper than 64"},
  };
}

class MalformedSafetensors : public ::testing::TestWithParam<BadSafetensors> {};

TEST_P(MalformedSafetensors, IsRefusedWithFieldAndPosition) {
  const BadSafetensors& p = GetParam();
  const std::string content = safetensors(p.header, p.data);
  const std::string message = expect_error(
      ErrorCode::bad_data, {fmt::format("m.safetensors: field '{}' at byte ", p.field), p.what},
      [&] { (void)parse_safetensors(content); });
  if (p.key.empty()) return;
  EXPECT_NE(message.find(fmt::format(" at byte {}: ", 8 + p.header.rfind(p.key))),
            std::string::npos)
      << message;
}

INSTANTIATE_TEST_SUITE_P(Every, MalformedSafetensors, ::testing::ValuesIn(bad_safetensors()),
                         [](const auto& info) { return info.param.name; });

TEST(Safetensors, HeaderLengthIsChecked) {
  const auto rejects = [](const std::string& content, const std::string& what) {
    expect_error(ErrorCode::bad_data, {"m.safetensors: field 'header length' at byte 0: ", what},
                 [&] { (void)parse_safetensors(content); });
  };
  rejects("", "takes 8 bytes, but the file has 0");
  rejects(std::string(7, '\0'), "takes 8 bytes, but the file has 7");
  rejects(std::string(8, '\xff'), "18446744073709551615 bytes are more than the 100000000");
  rejects(std::string("\x00\xe1\xf5\x05\x00\x00\x00\x00{", 9), "but the file has only 1 after it");
  rejects(std::string("\x01\xe1\xf5\x05\x00\x00\x00\x00{", 9), "more than the 100000000 allowed");
  rejects(safetensors("{}", 0).substr(0, 9), "2 bytes, but the file has only 1 after it");
  expect_error(ErrorCode::bad_data, {"field 'header' at byte 8: must begin"},
               [] { (void)parse_safetensors(safetensors("", 0)); });
}

TEST(Safetensors, TheDataEndWithTheFile) {
  const std::string good = safetensors(kGood, kGoodData);
  expect_error(ErrorCode::bad_data,
               {fmt::format("field 'tiny' at byte {}: the data ends here", good.size())},
               [&] { (void)parse_safetensors(good + "x"); });
  expect_error(ErrorCode::bad_data, {"field 'tiny'", "end at 26, but the file holds 25 bytes"},
               [&] { (void)parse_safetensors(good.substr(0, good.size() - 1)); });
  expect_error(ErrorCode::bad_data, {"field 'header' at byte 10: the data ends here"},
               [] { (void)parse_safetensors(safetensors("{}", 1)); });
}

// Any file that is cut anywhere is refused.
TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string good = safetensors(kGood, kGoodData);
  for (std::size_t size = 0; size < good.size(); ++size) {
    expect_error(ErrorCode::bad_data, {"m.safetensors: field '"},
                 [&] { (void)parse_safetensors(good.substr(0, size)); });
  }
}

}  // namespace
}  // namespace assay::files
