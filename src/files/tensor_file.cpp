#include "files/tensor_file.h"

#include <algorithm>
#include <cstring>

#include "files/field_error.h"
#include "files/gguf_split.h"
#include "files/safetensors.h"
#include "files/shard_index.h"
#include "files/single_file.h"
#include "files/tensor_file_builder.h"

namespace assay::files {

namespace {

bool aligned(std::span<const std::byte> bytes, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment == 0;
}

}  // namespace

const StoredTensor* TensorFile::find(std::string_view name) const {
  const auto at = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](std::size_t index, std::string_view wanted) { return tensors_[index].name < wanted; });
  if (at == by_name_.end() || tensors_[*at].name != name) return nullptr;
  return &tensors_[*at];
}

TensorFile TensorFile::synthetic(const std::string& name, std::vector<StoredTensor> tensors) {
  TensorFile file;
  file.format_ = "synthetic";
  file.path_ = name;
  file.parts_ = {name};
  return file.with_tensors(std::move(tensors));
}

TensorFile TensorFile::with_tensors(std::vector<StoredTensor> tensors) const {
  TensorFile result = *this;
  result.by_name_ = order_by_name(tensors);
  result.tensors_ = std::move(tensors);
  const auto same = [&](std::size_t a, std::size_t b) {
    return result.tensors_[a].name == result.tensors_[b].name;
  };
  const auto twice = std::adjacent_find(result.by_name_.begin(), result.by_name_.end(), same);
  if (twice != result.by_name_.end()) {
    const StoredTensor& tensor = result.tensors_[*twice];
    fail_field(path_, tensor.name, tensor.offset, "is stored plain and in quantized parts");
  }
  return result;
}

precision::EncodedTensor TensorFile::encoded(const StoredTensor& tensor) const {
  if (tensor.assemble != nullptr) return tensor.assemble();
  if (!tensor.is_weight) {
    fail_field(parts_[tensor.part], tensor.name, tensor.offset,
               "is {}, which is not among the weight types that can be decoded", tensor.type);
  }
  precision::EncodedTensor result;
  result.encoding = tensor.encoding;
  result.cols = tensor.shape.empty() ? 1 : tensor.shape.back();
  result.rows = 1;
  for (std::size_t i = 0; i + 1 < tensor.shape.size(); ++i) result.rows *= tensor.shape[i];

  const std::int64_t needed = precision::info(tensor.encoding).code_bytes(result.rows, result.cols);
  if (static_cast<std::uint64_t>(needed) != tensor.bytes.size()) {
    fail_field(parts_[tensor.part], tensor.name, tensor.offset,
               "has {} bytes, but {} x {} of {} takes {}", tensor.bytes.size(), result.rows,
               result.cols, tensor.type, needed);
  }
  if (tensor.bytes.empty() || aligned(tensor.bytes, alignof(float))) {
    result.codes = {owner_, tensor.bytes};
    return result;
  }
  // safetensors allows a header of any length, and so data at any address.
  tensor::Buffer copy(tensor.bytes.size());
  std::memcpy(copy.data(), tensor.bytes.data(), tensor.bytes.size());
  result.codes = precision::share(std::move(copy));
  result.codes.bytes = result.codes.bytes.first(tensor.bytes.size());
  return result;
}

TensorFile open_safetensors(const std::filesystem::path& path) {
  return read_safetensors(map_file(path));
}

TensorFile open_gguf(const std::filesystem::path& path) {
  return open_gguf_with_parts(map_file(path));
}

TensorFile open_tensor_file(const std::filesystem::path& path) {
  if (is_shard_index(path)) return open_sharded(path);
  const RawFile file = map_file(path);
  if (starts_with(file, "GGUF")) return open_gguf_with_parts(file);
  return read_single_file(file);
}

}  // namespace assay::files
