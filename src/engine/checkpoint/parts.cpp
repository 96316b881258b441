#include "engine/checkpoint/parts.h"

#include "files/field_error.h"

namespace assay::engine {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

}  // namespace

void CheckpointParts::fail_tensor(const files::StoredTensor& tensor,
                                  const std::string& what) const {
  files::throw_field_error(file_->parts()[tensor.part], tensor.name, tensor.offset, what);
}

const files::StoredTensor& CheckpointParts::require(const std::string& name,
                                                    std::string_view type) const {
  const files::StoredTensor* tensor = file_->find(name);
  if (tensor == nullptr) {
    fail(ErrorCode::bad_data, "{}: tensor '{}' is missing, a part of a quantized layer",
         file_->path().string(), base::printable(name));
  }
  if (tensor->type != type) {
    fail_tensor(*tensor, fmt::format("is {}, must be {}", tensor->type, type));
  }
  return *tensor;
}

const files::StoredTensor& CheckpointParts::require(const std::string& name, std::string_view type,
                                                    const std::vector<std::int64_t>& shape) const {
  const files::StoredTensor& tensor = require(name, type);
  if (tensor.shape != shape) {
    fail_tensor(tensor, fmt::format("has shape {}, must have {}", shape_text(tensor.shape),
                                    shape_text(shape)));
  }
  return tensor;
}

const files::StoredTensor& CheckpointParts::require_float(
    const std::string& name, const std::vector<std::int64_t>& shape) const {
  const files::StoredTensor* tensor = file_->find(name);
  const std::string type = tensor != nullptr && tensor->is_weight ? tensor->type : "F16";
  return require(name, type, shape);
}

void CheckpointParts::replace(files::StoredTensor whole,
                              const std::vector<const files::StoredTensor*>& parts) {
  whole.part = parts.front()->part;
  whole.offset = parts.front()->offset;
  whole.bytes = parts.front()->bytes;
  for (const files::StoredTensor* part : parts) {
    used_.insert(part->name);
    if (part != parts.front()) whole.extra_bytes += part->bytes.size();
  }
  wholes_.push_back(std::move(whole));
}

std::shared_ptr<const files::TensorFile> CheckpointParts::finish() {
  std::vector<files::StoredTensor> tensors = std::move(wholes_);
  for (const files::StoredTensor& tensor : file_->tensors()) {
    if (!used_.contains(tensor.name)) tensors.push_back(tensor);
  }
  return std::make_shared<const files::TensorFile>(file_->with_tensors(std::move(tensors)));
}

std::vector<float> floats_of(const files::StoredTensor& tensor) {
  const std::size_t count =
      tensor.bytes.size() / (tensor.encoding == precision::Encoding::f32 ? 4 : 2);
  precision::EncodedTensor row{.encoding = tensor.encoding,
                               .rows = 1,
                               .cols = static_cast<std::int64_t>(count),
                               .codes = {nullptr, tensor.bytes},
                               .scales = {}};
  std::vector<float> values(count);
  precision::info(tensor.encoding).decode_row(row, 0, values);
  return values;
}

}  // namespace assay::engine
