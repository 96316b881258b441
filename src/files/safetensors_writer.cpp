#include "files/safetensors_writer.h"

#include <algorithm>
#include <cstring>

#include "base/io.h"
#include "base/json.h"
#include "files/stored_type.h"

namespace assay::files {

namespace {

std::uint64_t bytes_of_tensor(const TensorHeader& tensor) {
  const StoredType* type = find_safetensors_type(tensor.type);
  const auto elements = product(tensor.shape);
  const auto bytes = type != nullptr && elements ? bytes_of(*type, *elements) : std::nullopt;
  if (bytes) return *bytes;
  fail(ErrorCode::internal, "tensor '{}' of type {} cannot be written",
       base::printable(tensor.name), tensor.type);
}

void sort_as_reference(std::vector<TensorHeader>& tensors) {
  const auto width = [](const TensorHeader& t) {
    const StoredType* type = find_safetensors_type(t.type);
    return type == nullptr ? 0U : type->bytes;
  };
  std::sort(tensors.begin(), tensors.end(), [&](const TensorHeader& a, const TensorHeader& b) {
    return std::make_pair(width(b), std::string_view(a.name)) <
           std::make_pair(width(a), std::string_view(b.name));
  });
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& file,
                                     std::vector<TensorHeader> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(file) {
  sort_as_reference(tensors);
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const TensorHeader& tensor : tensors) {
    const std::uint64_t bytes = bytes_of_tensor(tensor);
    header[tensor.name] = {{"dtype", tensor.type},
                           {"shape", tensor.shape},
                           {"data_offsets", {total_, total_ + bytes}}};
    if (!places_.emplace(tensor.name, Place{total_, bytes, bytes == 0}).second) {
      fail(ErrorCode::internal, "two tensors are called '{}'", base::printable(tensor.name));
    }
    total_ += bytes;
  }
  constexpr std::size_t kAlignment = 8;
  std::string text = header.dump();
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t length = text.size();
  char prefix[sizeof length];
  std::memcpy(prefix, &length, sizeof length);
  file_.write({prefix, sizeof prefix});
  file_.write(text);
  for (auto& [name, place] : places_) place.offset += sizeof prefix + text.size();
}

void SafetensorsWriter::write(const std::string& name, std::span<const std::byte> bytes) {
  const auto found = places_.find(name);
  if (found == places_.end() || found->second.bytes != bytes.size()) {
    fail(ErrorCode::internal, "tensor '{}' of {} bytes does not fit the header",
         base::printable(name), bytes.size());
  }
  file_.write_at(found->second.offset, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  found->second.written = true;
}

void SafetensorsWriter::commit() {
  for (const auto& [name, place] : places_) {
    if (!place.written) {
      fail(ErrorCode::internal, "tensor '{}' was not written", base::printable(name));
    }
  }
  file_.commit();
}

}  // namespace assay::files
