#include "files/npy.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "files/file_bytes.h"
#include "files/golden_file.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::FileBytes;
using testing::golden_file;
using testing::raw_file;

std::string npy(const std::string& header, std::size_t data, char major = 1) {
  FileBytes f;
  f.raw("\x93NUMPY").number(major).number('\0');
  if (major == 1) {
    f.number(static_cast<std::uint16_t>(header.size()));
  } else {
    f.number(static_cast<std::uint32_t>(header.size()));
  }
  return f.raw(header).raw(std::string(data, '\1')).data();
}

TensorFile parse(const std::string& content) { return read_npy(raw_file(content, "a.npy")); }

// Every array as the safetensors package wrote the same one.
TEST(Npy, ReadsWhatNumpyWrites) {
  const TensorFile expected = open_tensor_file(golden_file("npy.safetensors"));
  ASSERT_EQ(expected.tensors().size(), 15U);
  for (const StoredTensor& wanted : expected.tensors()) {
    const TensorFile file = open_tensor_file(golden_file(wanted.name + ".npy"));
    EXPECT_EQ(file.format(), "npy");
    ASSERT_EQ(file.tensors().size(), 1U) << wanted.name;
    const StoredTensor& tensor = file.tensors()[0];
    EXPECT_EQ(tensor.name, kOnlyTensor);
    EXPECT_EQ(tensor.type, wanted.type) << wanted.name;
    EXPECT_EQ(tensor.shape, wanted.shape) << wanted.name;
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, wanted.bytes)) << wanted.name;
  }
}

struct BadNpy {
  std::string name;
  std::string header;
  std::size_t data;
  std::string field;
  std::string what;
};

std::vector<BadNpy> bad_npy() {
  const auto one = [](const std::string& shape) {
    return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
  };
  const auto descr = [](const std::string& value) {
    return "{'descr': " + value + ", 'fortran_order': False, 'shape': (1,)}";
  };
  return {
      {"empty", "", 0, "header", "the dictionary does not end"},
      {"no_dict", "[1]", 0, "header", "expected '{'"},
      {"open", "{'descr': '<f4'", 0, "descr", "the dictionary does not end"},
      {"open_text", "{'descr", 0, "header", "a string does not end"},
      {"escape", "{'de\\x73cr': '<f4'}", 0, "header", "an escape"},
      {"no_descr", "{'fortran_order': False, 'shape': ()}", 4, "header", "descr is missing"},
      {"no_order", "{'descr': '<f4', 'shape': ()}", 4, "header", "fortran_order is missing"},
      {"no_shape", "{'descr': '<f4', 'fortran_order': False}", 4, "header", "shape is missing"},
      {"twice", "{'shape': (), 'shape': ()}", 4, "shape", "the key is there twice"},
      {"unknown_key", "{'x': 1}", 4, "header", "unknown key 'x'"},
      {"call", "{'descr': __import__('os')}", 4, "descr", "expected a string"},
      {"object", descr("'|O'"), 4, "descr", "'|O' is not supported"},
      {"text_type", descr("'<U4'"), 4, "descr", "'<U4' is not supported"},
      {"big_endian", descr("'>f4'"), 4, "descr", "'>f4' is big-endian"},
      {"record", descr("[('a', '<f4')]"), 4, "descr", "arrays of records"},
      {"order_number", "{'fortran_order': 1}", 4, "fortran_order", "must be True or False"},
      {"fortran", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16, "fortran_order",
       "only C order"},
      {"shape_list", one("[1]"), 4, "shape", "must be a tuple"},
      {"shape_number", one("(1)"), 4, "shape", "expected ','"},
      {"shape_negative", one("(-1,)"), 4, "shape", "must be a tuple of integers from 0"},
      {"shape_word", one("(a,)"), 4, "shape", "must be a tuple of integers from 0"},
      {"shape_huge", one("(99999999999999999999,)"), 4, "shape", "a dimension overflows"},
      {"product", one("(4294967296, 4294967296)"), 4, "tensor", "overflows"},
      {"bytes", one("(4611686018427387904,)"), 4, "tensor", "overflows"},
      {"short_data", one("(2,)"), 7, "tensor", "reach beyond the end of the file"},
      {"long_data", one("(2,)"), 9, "tensor", "the data ends here, but the file has"},
      {"after", one("(1,)") + "x", 4, "shape", "unexpected text after the dictionary"},
  };
}

class MalformedNpy : public ::testing::TestWithParam<BadNpy> {};

TEST_P(MalformedNpy, IsRefusedWithFieldAndPosition) {
  const BadNpy& p = GetParam();
  for (const char major : {1, 2, 3}) {
    expect_error(ErrorCode::bad_data, {"a.npy: field '" + p.field + "' at byte ", p.what},
                 [&] { (void)parse(npy(p.header, p.data, major)); });
  }
}

INSTANTIATE_TEST_SUITE_P(Every, MalformedNpy, ::testing::ValuesIn(bad_npy()),
                         [](const auto& info) { return info.param.name; });

TEST(Npy, VersionAndLengthAreChecked) {
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4);
  EXPECT_EQ(parse(good).tensors().size(), 1U);
  for (std::size_t size = 0; size < good.size(); ++size) {
    expect_error(ErrorCode::bad_data, {"a.npy: field '"},
                 [&] { (void)parse(good.substr(0, size)); });
  }
  expect_error(ErrorCode::bad_data, {"field 'version' at byte 6: 4.0 is not supported"},
               [] { (void)parse(npy("{}", 0, 4)); });
  expect_error(ErrorCode::bad_data, {"more than the 65536 allowed"},
               [] { (void)parse(npy(std::string(70'000, ' '), 0, 2)); });
}

}  // namespace
}  // namespace assay::files
