#include "files/gguf.h"

#include <algorithm>
#include <array>

#include "files/gguf_metadata.h"

namespace assay::files {

namespace {

constexpr std::string_view kMagic = "GGUF";
// Version 3 only adds big-endian files to version 2; version 1 had counts of 32 bits.
constexpr std::array<std::uint32_t, 2> kVersions = {2, 3};
constexpr std::uint64_t kLongestName = 64;
constexpr std::uint32_t kMostDimensions = 4;
/// Smallest description of a tensor: length and a byte of name, no dimension, type, offset.
constexpr std::uint64_t kSmallestTensor = 8 + 1 + 4 + 4 + 8;

/// A tensor's description, before it is known where the data begin.
struct Description {
  std::string name;
  std::vector<std::int64_t> shape;  ///< row-major
  const StoredType* type = nullptr;
  std::uint64_t offset = 0;     ///< from the start of the data
  std::uint64_t at = 0;         ///< where the description begins in the file
  std::uint64_t offset_at = 0;  ///< where the offset stands in the file
};

void check_magic(GgufCursor& cursor) {
  cursor.enter("magic");
  const auto magic = cursor.number<std::array<char, 4>>("the magic");
  if (std::string_view(magic.data(), magic.size()) != kMagic) {
    cursor.fail_at(0, "is not \"GGUF\"; this is no GGUF file");
  }
}

void check_version(GgufCursor& cursor) {
  cursor.enter("version");
  const std::uint64_t at = cursor.position();
  const auto version = cursor.number<std::uint32_t>("the version");
  if (std::find(kVersions.begin(), kVersions.end(), version) != kVersions.end()) return;
  if (version != 0 && (version & 0xffffU) == 0) {
    cursor.fail_at(at, "the file is big-endian; convert it with gguf-py's gguf_convert_endian");
  }
  cursor.fail_at(
      at,
      "version {} is not supported, only 2 and 3; convert the model again with a current "
      "llama.cpp",
      version);
}

std::vector<std::int64_t> read_shape(GgufCursor& cursor) {
  const std::uint64_t count_at = cursor.position();
  const auto count = cursor.number<std::uint32_t>("the number of dimensions");
  if (count > kMostDimensions) {
    cursor.fail_at(count_at, "{} dimensions; at most {} are allowed", count, kMostDimensions);
  }
  std::vector<std::int64_t> shape;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t at = cursor.position();
    const auto dimension = cursor.number<std::int64_t>("a dimension");
    if (dimension <= 0) {
      cursor.fail_at(at, "dimension {} must be from 1 to 2^63 - 1, not {}", i,
                     static_cast<std::uint64_t>(dimension));
    }
    shape.push_back(dimension);
  }
  if (shape.empty()) shape.push_back(1);  // a scalar
  std::reverse(shape.begin(), shape.end());
  return shape;
}

Description read_description(GgufCursor& cursor, std::uint64_t index) {
  Description tensor;
  cursor.enter(fmt::format("tensor {}", index));
  tensor.at = cursor.position();
  tensor.name = cursor.text("the name", kLongestName);
  if (tensor.name.empty()) cursor.fail_at(tensor.at, "the name is empty");
  cursor.enter(tensor.name);
  tensor.shape = read_shape(cursor);
  const std::uint64_t type_at = cursor.position();
  const auto type = cursor.number<std::uint32_t>("the type");
  tensor.type = find_ggml_type(type);
  if (tensor.type == nullptr) cursor.fail_at(type_at, "unknown tensor type {}", type);
  tensor.offset_at = cursor.position();
  tensor.offset = cursor.number<std::uint64_t>("the offset");
  return tensor;
}

/// The first byte of the data: the end of the header, rounded up to the alignment.
std::uint64_t begin_of_data(const GgufCursor& cursor, std::uint64_t alignment) {
  return (cursor.position() + alignment - 1) / alignment * alignment;
}

void add_tensors(GgufCursor& cursor, std::vector<Description>&& tensors, std::uint64_t data_begin,
                 std::uint64_t alignment, TensorFileBuilder& builder) {
  for (Description& tensor : tensors) {
    cursor.enter(tensor.name);
    if (tensor.offset % alignment != 0) {
      cursor.fail_at(tensor.offset_at, "offset {} is no multiple of the alignment {}",
                     tensor.offset, alignment);
    }
    std::uint64_t offset = 0;
    if (__builtin_add_overflow(data_begin, tensor.offset, &offset)) {
      cursor.fail_at(tensor.offset_at, "offset {} overflows", tensor.offset);
    }
    builder.add(std::move(tensor.name), *tensor.type, std::move(tensor.shape), offset, tensor.at);
  }
}

}  // namespace

TensorFile read_gguf(const RawFile& file) {
  GgufCursor cursor(file);
  TensorFileBuilder builder("gguf", file);
  check_magic(cursor);
  check_version(cursor);
  cursor.enter("tensor_count");
  const std::uint64_t tensor_count = cursor.count("the number of tensors", kSmallestTensor);
  cursor.enter("kv_count");
  const std::uint64_t pair_count = cursor.count("the number of keys", kSmallestPair);

  GgufMetadata metadata = read_gguf_metadata(cursor, pair_count, builder);
  builder.set_metadata(std::move(metadata.values));

  std::vector<Description> tensors;
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    tensors.push_back(read_description(cursor, i));
    builder.charge(1, sizeof(Description) + 32, tensors.back().name, tensors.back().at);
  }
  const std::uint64_t data_begin = begin_of_data(cursor, metadata.alignment);
  add_tensors(cursor, std::move(tensors), data_begin, metadata.alignment, builder);
  return builder.finish(Packing::loose, data_begin);
}

}  // namespace assay::files
