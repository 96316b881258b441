#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/hash.h"
#include "base/scratch_folder.h"
#include "files/golden_file.h"
#include "files/npy.h"
#include "files/torch_zip.h"
#include "files/zip_bytes.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::FileBytes;
using testing::golden_file;
using testing::raw_file;
using testing::zip_of;

void expect_same(const TensorFile& file, const TensorFile& expected) {
  EXPECT_EQ(file.format(), "torch");
  EXPECT_EQ(file.tensors().size(), expected.tensors().size());
  for (const StoredTensor& wanted : expected.tensors()) {
    const StoredTensor* tensor = file.find(wanted.name);
    ASSERT_NE(tensor, nullptr) << wanted.name;
    EXPECT_EQ(tensor->type, wanted.type) << wanted.name;
    EXPECT_EQ(tensor->shape, wanted.shape) << wanted.name;
    EXPECT_TRUE(std::ranges::equal(tensor->bytes, wanted.bytes)) << wanted.name;
  }
}

TEST(Torch, ReadsWhatTorchWrites) {
  expect_same(open_tensor_file(golden_file("state_dict.pt")),
              open_tensor_file(golden_file("state_dict.safetensors")));
  expect_same(open_tensor_file(golden_file("sharded_bin/pytorch_model.bin.index.json")),
              open_tensor_file(golden_file("state_dict.safetensors")));
  const TensorFile views = open_tensor_file(golden_file("views.pt"));
  expect_same(views, open_tensor_file(golden_file("views.safetensors")));
  EXPECT_EQ(views.metadata(), Json({{"epoch", 3},
                                    {"step", std::int64_t{1} << 40},
                                    {"rate", 0.5},
                                    {"name", "views"},
                                    {"frozen", true}}));
}

TEST(Torch, WhatIsNotReadIsNamed) {
  const auto rejects = [](const char* name, const std::string& what) {
    expect_error(ErrorCode::bad_data, {std::string(name) + ": field '", what},
                 [&] { (void)open_tensor_file(golden_file(name)); });
  };
  rejects("legacy.pt", "before version 1.6");
  rejects("module.pt", "the global torch.nn.modules.linear.Linear is not allowed");
  rejects("float8.pt", "the global torch._utils._rebuild_tensor_v3 is not allowed");
}

TEST(Torch, PretokenizedSst2) {
  const char* shared = std::getenv("ASSAY_SHARED");
  const auto root = shared != nullptr ? std::filesystem::path(shared)
                                      : std::filesystem::path(ASSAY_SOURCE_DIR) / "../shared";
  const auto folder = root / "data/sst2/pretokenized";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is missing";
  const TensorFile ids = open_tensor_file(folder / "input_ids.pt");
  ASSERT_EQ(ids.tensors().size(), 1U);
  EXPECT_EQ(ids.tensors()[0].name, kOnlyTensor);
  EXPECT_EQ(ids.tensors()[0].type, "I64");
  EXPECT_EQ(ids.tensors()[0].shape, (std::vector<std::int64_t>{100, 128}));
  std::int64_t first = 0;
  std::memcpy(&first, ids.tensors()[0].bytes.data(), sizeof first);
  EXPECT_EQ(first, 101);  // [CLS]
  EXPECT_EQ(open_tensor_file(folder / "labels.pt").tensors()[0].shape,
            std::vector<std::int64_t>{100});
}

FileBytes archive(const std::string& pickle) {
  return zip_of({{"m/data.pkl", pickle}, {"m/byteorder", "little"}, {"m/data/0", "12345678"}});
}

struct BadTorch {
  std::string name;
  std::string pickle;  ///< between PROTO and STOP
  std::string what;
};

std::vector<BadTorch> bad_torch() {
  const auto tensor = [](const std::string& offset, const std::string& size,
                         const std::string& stride, const std::string& elements = "K\2") {
    return "ctorch._utils\n_rebuild_tensor_v2\n((X" + std::string("\7\0\0\0", 4) +
           "storagectorch\nFloatStorage\nX" + std::string("\1\0\0\0", 4) + "0X" +
           std::string("\3\0\0\0", 4) + "cpu" + elements + "tQ" + offset + size + stride +
           "\x89}tR";
  };
  const std::string zero("K\0", 2);
  return {
      {"system", "cos\nsystem\n)R", "the global os.system is not allowed"},
      {"eval", "cbuiltins\neval\n)R", "the global builtins.eval is not allowed"},
      {"inst", "(ios\nsystem\n", "opcode 0x69 ('i') is not among those"},
      {"newobj", ")\x81", "opcode 0x81"},
      {"stack_global", "\x93", "opcode 0x93"},
      {"unterminated", "cos", "a class name does not end"},
      {"empty_stack", "R", "the stack is empty"},
      {"no_mark", "t", "there is no mark"},
      {"memo", "h\5", "memo slot 5 holds nothing"},
      {"memo_huge", std::string("}r\xff\xff\xff\xff", 6), "memo slot 4294967295 after only 0"},
      {"text_length", std::string("X\xff\xff\xff\x7f", 5), "2147483647 bytes are needed"},
      {"odd_items", "}(NNNu", "a key that has no value"},
      {"key", "}NNs", "None as the key of a dictionary"},
      {"build", "N}b", "None stands where a dictionary must be"},
      {"persid", ")Q", "BINPERSID without"},
      {"left_over", "}}", "STOP leaves 1 values"},
      {"cycle", std::string("}q\0X\1\0\0\0ah\0s", 12), "nested deeper than 16"},
      {"nothing", "}", "holds no tensor"},
      {"storage_global", "ctorch\nFloatStorage\n)R", "REDUCE calls torch's storage"},
      {"outside", tensor(zero, "K\3\x85", "K\1\x85"), "reaches beyond the 2 elements"},
      {"offset", tensor("K\1", "K\2\x85", "K\1\x85"), "reaches beyond the 2 elements"},
      {"negative", tensor(zero, "J\xff\xff\xff\xff\x85", "K\1\x85"), "negative size"},
      {"negative_stride", tensor(zero, "K\2\x85", "J\xff\xff\xff\xff\x85"), "negative stride"},
      {"repeated", tensor(zero, "M\xe8\3\x85", zero + "\x85"), "repeats the 2 elements"},
      {"ranks", tensor(zero, "K\2\x85", ")"), "different lengths"},
      {"storage_size", tensor(zero, "K\1\x85", "K\1\x85", "K\3"), "should hold 3 elements of F32"},
  };
}

class MalformedTorch : public ::testing::TestWithParam<BadTorch> {};

TEST_P(MalformedTorch, IsRefusedWithFieldAndPosition) {
  const BadTorch& p = GetParam();
  const FileBytes file = archive("\x80\2" + p.pickle + ".");
  expect_error(ErrorCode::bad_data, {"m.pt: field '", "' at byte ", p.what},
               [&] { (void)read_torch(raw_file(file.data(), "m.pt")); });
}

INSTANTIATE_TEST_SUITE_P(Every, MalformedTorch, ::testing::ValuesIn(bad_torch()),
                         [](const auto& info) { return info.param.name; });

TEST(TorchZip, DirectoriesAreChecked) {
  const auto rejects = [](const char* mark, std::size_t past, auto value, const std::string& what) {
    FileBytes file = archive("\x80\2}.");
    file.patch(mark, value, past);
    expect_error(ErrorCode::bad_data, {"m.pt: field '", what},
                 [&] { (void)read_torch(raw_file(file.data(), "m.pt")); });
  };
  using u16 = std::uint16_t;
  using u32 = std::uint32_t;
  rejects("m/data/0.central", 10, u16{8}, "the record is compressed (method 8)");
  rejects("m/data/0.central", 8, u16{1}, "the record is encrypted");
  rejects("m/data/0.central", 20, u32{9}, "a stored record of 8 bytes takes 9");
  rejects("m/data/0.central", 42, u32{1}, "no record begins at byte 1");
  rejects("m/data/0.central", 42, u32{0}, "differ in the name");
  rejects("m/data/0.central", 28, u16{60000}, "reaches beyond the directory's end");
  rejects("m/data/0.local", 8, u16{8}, "differ in the compression");
  rejects("m/data/0.local", 28, u16{60000}, "differ in the name");
  rejects("end", 0, u32{0}, "no end of a zip archive");
  rejects("end", 4, u16{1}, "spread over several files");
  rejects("end", 10, u16{2}, "bytes after the last record");
  rejects("end", 10, u16{9}, "9 records cannot lie");
  rejects("end", 16, ~u32{0}, "the zip64 locator is missing");
  rejects("m/byteorder.data", 0, 'L', "only little-endian");
}

// Every flipped bit is an error or a file whose bytes can be read.
TEST(TorchZip, FlippedBitsAreRefusedOrHarmless) {
  const auto path = golden_file("views.pt");
  std::string good(std::filesystem::file_size(path), '\0');
  const TensorFile whole = open_tensor_file(path);
  std::ifstream(path, std::ios::binary).read(good.data(), std::streamsize(good.size()));
  int refused = 0;
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] ^= static_cast<char>(1U << at % 8);
    try {
      const TensorFile file = read_torch(raw_file(bytes, "m.pt"));
      for (const auto& tensor : file.tensors()) {
        for (const std::byte b : tensor.bytes) sum += static_cast<std::uint64_t>(b);
      }
    } catch (const Error& error) {
      EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(ErrorCode::bad_data));
      ++refused;
    }
  }
  EXPECT_GT(sum, 0U);
  EXPECT_GT(refused, 1000);
  for (std::size_t size = 0; size < good.size(); size += 7) {
    expect_error(ErrorCode::bad_data, {"m.pt: field '"},
                 [&] { (void)read_torch(raw_file(good.substr(0, size), "m.pt")); });
  }
}

}  // namespace
}  // namespace assay::files
