#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "files/field_error.h"
#include "files/table_file.h"
#include "files/tensor_file.h"

namespace assay::files {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 5> kTensorExtensions = {".pt", ".pth", ".bin", ".npy",
                                                          ".safetensors"};

/// An integer tensor of one or two dimensions.
struct Integers {
  std::vector<std::int64_t> values;
  std::vector<std::int64_t> shape;
  std::string place;  ///< for messages
};

template <typename T>
void widen(std::span<const std::byte> bytes, std::vector<std::int64_t>& values) {
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    values.push_back(static_cast<std::int64_t>(value));
  }
}

Integers integers_of(const TensorFile& file, const StoredTensor& tensor) {
  Integers result{.values = {},
                  .shape = tensor.shape,
                  .place = fmt::format("{}: tensor '{}'", shown(file.path()), tensor.name)};
  if (tensor.type == "I64") {
    widen<std::int64_t>(tensor.bytes, result.values);
  } else if (tensor.type == "I32") {
    widen<std::int32_t>(tensor.bytes, result.values);
  } else if (tensor.type == "I16") {
    widen<std::int16_t>(tensor.bytes, result.values);
  } else if (tensor.type == "I8") {
    widen<std::int8_t>(tensor.bytes, result.values);
  } else if (tensor.type == "U8" || tensor.type == "BOOL") {
    widen<std::uint8_t>(tensor.bytes, result.values);
  } else {
    fail(ErrorCode::bad_data, "{}: is {}, integers are needed", result.place, tensor.type);
  }
  return result;
}

/// A file of its own in a folder, or a tensor of a file that holds several.
std::optional<Integers> find_integers(const fs::path& path, const std::string& name) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const TensorFile file = open_tensor_file(path);
    const StoredTensor* tensor = file.find(name);
    if (tensor == nullptr) return std::nullopt;
    return integers_of(file, *tensor);
  }
  for (const char* extension : kTensorExtensions) {
    const fs::path candidate = path / (name + extension);
    if (!fs::exists(candidate, error)) continue;
    const TensorFile file = open_tensor_file(candidate);
    if (file.tensors().size() != 1) {
      fail(ErrorCode::bad_data, "{}: {} tensors, one is expected", shown(candidate),
           file.tensors().size());
    }
    return integers_of(file, file.tensors().front());
  }
  return std::nullopt;
}

Integers need_integers(const fs::path& path, const std::string& name) {
  auto found = find_integers(path, name);
  if (!found) {
    fail(ErrorCode::bad_data, "{}: there is no {} in it (.pt, .npy or .safetensors)", shown(path),
         name);
  }
  return std::move(*found);
}

int narrow(std::int64_t value, const std::string& place) {
  if (value < 0 || value > std::numeric_limits<int>::max()) {
    fail(ErrorCode::bad_data, "{}: {} is no token id or label", place, value);
  }
  return static_cast<int>(value);
}

}  // namespace

bool is_pretokenized(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) ||
         std::ranges::find(kTensorExtensions, path.extension()) != kTensorExtensions.end();
}

std::vector<std::vector<int>> read_token_rows(const fs::path& path) {
  const Integers ids = need_integers(path, "input_ids");
  const auto mask = find_integers(path, "attention_mask");
  if (ids.shape.size() != 2 || ids.values.empty()) {
    fail(ErrorCode::bad_data, "{}: [samples, length] is needed and not empty", ids.place);
  }
  if (mask && mask->shape != ids.shape) {
    fail(ErrorCode::bad_data, "{}: its shape is not that of the ids", mask->place);
  }
  const auto length = static_cast<std::size_t>(ids.shape[1]);
  std::vector<std::vector<int>> rows(static_cast<std::size_t>(ids.shape[0]));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = r * length; i < (r + 1) * length; ++i) {
      if (mask && mask->values[i] == 0) continue;
      rows[r].push_back(narrow(ids.values[i], ids.place));
    }
    if (rows[r].empty()) fail(ErrorCode::bad_data, "{}: sample {} has no tokens", ids.place, r);
  }
  return rows;
}

std::vector<LabelledTokens> read_labelled_tokens(const fs::path& path) {
  auto ids = read_token_rows(path);
  const Integers labels = need_integers(path, "labels");
  if (labels.values.size() != ids.size()) {
    fail(ErrorCode::bad_data, "{}: {} labels for {} samples", labels.place, labels.values.size(),
         ids.size());
  }
  std::vector<LabelledTokens> rows;
  for (std::size_t r = 0; r < ids.size(); ++r) {
    rows.push_back({.ids = std::move(ids[r]), .label = narrow(labels.values[r], labels.place)});
  }
  return rows;
}

}  // namespace assay::files
