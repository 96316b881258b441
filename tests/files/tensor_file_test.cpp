#include "files/tensor_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/scratch_folder.h"
#include "files/file_bytes.h"
#include "files/mapped_file.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

std::string small_safetensors() {
  return testing::safetensors(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
}

TEST(MappedFile, MapsEveryByteAndOutlivesTheName) {
  const ScratchFolder folder;
  const auto path = folder.write("f", "content");
  const auto file = MappedFile::open(path);
  std::filesystem::remove(path);
  ASSERT_EQ(file->bytes().size(), 7U);
  EXPECT_EQ(file->bytes()[6], std::byte{'t'});
  EXPECT_EQ(file->path(), path);
  EXPECT_TRUE(MappedFile::open(folder.write("empty", ""))->bytes().empty());
}

TEST(MappedFile, NamesWhatItCannotMap) {
  const ScratchFolder folder;
  const auto absent = folder.path() / "absent";
  expect_error(ErrorCode::io, {absent.string(), "No such file"},
               [&] { (void)MappedFile::open(absent); });
  expect_error(ErrorCode::io, {"is a folder, not a file"},
               [&] { (void)MappedFile::open(folder.path()); });
  expect_error(ErrorCode::io, {"is a pipe or device"}, [] { (void)MappedFile::open("/dev/zero"); });
  // A pipe without a writer must not block.
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_error(ErrorCode::io, {"is a pipe or device"}, [&] { (void)MappedFile::open(pipe); });
}

TEST(OpenTensorFile, GoesByContent) {
  const ScratchFolder folder;
  EXPECT_EQ(open_tensor_file(folder.write("a.bin", testing::sample_gguf().data())).format(),
            "gguf");
  const TensorFile file = open_tensor_file(folder.write("b.gguf", small_safetensors()));
  EXPECT_EQ(file.format(), "safetensors");
  EXPECT_EQ(file.path(), folder.path() / "b.gguf");
  EXPECT_EQ(file.encoded(file.tensors()[0]).elements(), 1);
}

TEST(OpenTensorFile, ACopyHoldsTheMapping) {
  const ScratchFolder folder;
  const testing::FileBytes sample = testing::sample_gguf();
  precision::EncodedTensor weight;
  {
    const TensorFile file = open_tensor_file(folder.write("m", sample.data()));
    const TensorFile copy = file;
    weight = copy.encoded(*copy.find("q.weight"));
  }
  EXPECT_EQ(weight.codes.bytes.size(), 72U);
  const char byte = sample.data()[sample.at("data") + 65];
  EXPECT_EQ(weight.codes.bytes[1], static_cast<std::byte>(byte));
}

TEST(OpenTensorFile, UnknownContentIsNamed) {
  const ScratchFolder folder;
  const auto rejects = [&](const std::string& name, const std::string& content,
                           const std::string& what) {
    expect_error(ErrorCode::bad_data, {name + ": field '", what},
                 [&] { (void)open_tensor_file(folder.write(name, content)); });
  };
  rejects("a", "", "is an empty file");
  rejects("b", "hello, this is no model", "is neither GGUF nor safetensors");
  rejects("c.gguf", "hello, this is no model", "is not \"GGUF\"");
  rejects("d.safetensors", "hello, this is no model", "header length");
  rejects("e.safetensors", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull");
  rejects("f.bin", "PK\x03\x04rest", "no end of a zip archive");
}

TEST(LocateModel, FolderWithCompanions) {
  const ScratchFolder folder;
  for (const char* name : {"config.json", "tokenizer.json", "vocab.txt"}) folder.write(name, "{}");
  const auto weights = folder.write("model.safetensors", small_safetensors());
  for (const auto& given : {folder.path(), weights}) {
    const ModelFiles files = locate_model(given);
    EXPECT_EQ(files.root, folder.path());
    EXPECT_EQ(files.weights, weights);
    EXPECT_EQ(files.config, folder.path() / "config.json");
    EXPECT_EQ(files.tokenizer, folder.path() / "tokenizer.json");
    EXPECT_EQ(files.vocab, folder.path() / "vocab.txt");
    EXPECT_TRUE(files.tokenizer_config.empty());
  }
}

TEST(LocateModel, GgufStandsAlone) {
  const ScratchFolder folder;
  folder.write("config.json", "{}");
  const auto gguf = folder.write("m.gguf", testing::sample_gguf().data());
  for (const auto& given : {folder.path(), gguf}) {
    const ModelFiles files = locate_model(given);
    EXPECT_EQ(files.weights, gguf);
    EXPECT_TRUE(files.config.empty());
  }
  folder.write("n.gguf", "GGUF");
  expect_error(ErrorCode::bad_data, {folder.path().string(), "2 models in .gguf files", "m.gguf"},
               [&] { (void)locate_model(folder.path()); });
}

TEST(LocateModel, SaysWhatIsMissing) {
  const ScratchFolder folder;
  const auto rejects = [&](ErrorCode code, const std::filesystem::path& path,
                           const std::string& what) {
    expect_error(code, {path.string() + ": ", what}, [&] { (void)locate_model(path); });
  };
  rejects(ErrorCode::io, folder.path() / "absent", "no such file or folder");
  rejects(ErrorCode::bad_data, folder.path(),
          "no model.safetensors, no pytorch_model.bin and no .gguf file");
  folder.write("pytorch_model.bin", "PK");
  rejects(ErrorCode::bad_data, folder.path(), "config.json is missing beside pytorch_model.bin");
  folder.write("model.safetensors", small_safetensors());
  rejects(ErrorCode::bad_data, folder.path(), "config.json is missing");
}

// What a file says about its types must agree with the encodings that read them.
TEST(StoredTypes, AgreeWithTheEncodings) {
  int checked = 0;
  const auto check = [&](const StoredType* type) {
    if (type == nullptr || !type->encoding) return;
    const auto bytes = bytes_of(*type, 3 * 256);
    EXPECT_EQ(static_cast<std::int64_t>(*bytes),
              precision::info(*type->encoding).code_bytes(3, 256))
        << type->name;
    ++checked;
  };
  for (std::uint32_t id = 0; id < 64; ++id) check(find_ggml_type(id));
  for (const char* name : {"F32", "F16", "BF16"}) check(find_safetensors_type(name));
  EXPECT_EQ(checked, 16 + 3);  // of GGUF and of safetensors
}

}  // namespace
}  // namespace assay::files
