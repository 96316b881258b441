#include "files/tensor_file_builder.h"

#include <algorithm>
#include <numeric>

#include "base/io.h"

namespace assay::files {

namespace {

/// Memory of a tensor beside its name: the record, its place in the indices, allocator overhead.
constexpr std::uint64_t kTensorCost = sizeof(StoredTensor) + 64;

std::vector<std::size_t> identity(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

}  // namespace

std::uint64_t cost_of(std::size_t name_bytes, std::size_t dimensions) noexcept {
  return kTensorCost + name_bytes + 8 * dimensions;
}

std::vector<std::size_t> order_by_name(const std::vector<StoredTensor>& tensors) {
  auto order = identity(tensors.size());
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int compared = tensors[a].name.compare(tensors[b].name);
    return compared != 0 ? compared < 0 : a < b;
  });
  return order;
}

TensorFileBuilder::TensorFileBuilder(std::string format, const RawFile& file) : raw_(file) {
  result_.format_ = std::move(format);
  result_.path_ = file.path;
  result_.parts_ = {file.path};
  result_.owner_ = file.owner;
}

void TensorFileBuilder::charge(std::uint64_t count, std::uint64_t unit, std::string_view field,
                               std::uint64_t position) {
  if (count > (kHeaderBudget - spent_) / unit) {
    fail_field(raw_.path, field, position,
               "{} x {} bytes more would put names and metadata over the {} MiB they may take",
               count, unit, kHeaderBudget >> 20);
  }
  spent_ += count * unit;
}

void TensorFileBuilder::add(std::string name, const StoredType& type,
                            std::vector<std::int64_t> shape, std::uint64_t offset,
                            std::uint64_t position) {
  charge(1, cost_of(name.size(), shape.size()), name, position);
  const std::uint64_t size = raw_.bytes.size();
  const auto elements = product(shape);
  const std::int64_t last = shape.empty() ? 1 : shape.back();
  if (!elements) fail_field(raw_.path, name, position, "shape {} overflows", to_text(shape));
  // Small groups (F4, F6) run over the whole tensor; quantized blocks never leave a row.
  const bool row_blocks = type.block >= 32;
  if ((row_blocks ? last : *elements) % type.block != 0) {
    fail_field(raw_.path, name, position, "{} elements fill no whole {} blocks of {}",
               row_blocks ? last : *elements, type.name, type.block);
  }
  const auto bytes = bytes_of(type, *elements);
  if (!bytes) {
    fail_field(raw_.path, name, position, "shape {} of {} overflows", to_text(shape), type.name);
  }
  if (offset > size || *bytes > size - offset) {
    fail_field(raw_.path, name, position,
               "{} bytes at byte {} reach beyond the end of the file, which has {}", *bytes, offset,
               size);
  }
  StoredTensor tensor;
  tensor.name = std::move(name);
  tensor.type = type.name;
  tensor.is_weight = type.encoding.has_value();
  tensor.encoding = type.encoding.value_or(precision::Encoding::f32);
  tensor.shape = std::move(shape);
  tensor.offset = offset;
  tensor.bytes = raw_.bytes.subspan(offset, *bytes);
  result_.tensors_.push_back(std::move(tensor));
  positions_.push_back(position);
}

void TensorFileBuilder::set_metadata(Json metadata) { result_.metadata_ = std::move(metadata); }

TensorFile TensorFileBuilder::finish(Packing packing, std::uint64_t data_begin) {
  index_names();
  check_layout(packing, data_begin);
  return std::move(result_);
}

void TensorFileBuilder::replace_bytes(TensorFile& file,
                                      std::vector<std::pair<std::size_t, tensor::Buffer>> copies) {
  if (copies.empty()) return;
  struct Owner {
    std::shared_ptr<const void> mapping;
    std::vector<std::pair<std::size_t, tensor::Buffer>> copies;
  };
  const auto owner = std::make_shared<Owner>(Owner{file.owner_, std::move(copies)});
  for (auto& [index, buffer] : owner->copies) {
    auto& bytes = file.tensors_[index].bytes;
    bytes = {buffer.data(), bytes.size()};
  }
  file.owner_ = owner;
}

void TensorFileBuilder::index_names() {
  const auto& tensors = result_.tensors_;
  auto order = order_by_name(tensors);
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (tensors[order[i]].name == tensors[order[i - 1]].name) {
      fail_field(raw_.path, tensors[order[i]].name, positions_[order[i]],
                 "a second tensor of this name; the first is described at byte {}",
                 positions_[order[i - 1]]);
    }
  }
  result_.by_name_ = std::move(order);
}

void TensorFileBuilder::check_layout(Packing packing, std::uint64_t data_begin) const {
  if (packing == Packing::shared) return;
  const auto& tensors = result_.tensors_;
  auto order = identity(tensors.size());
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto& x = tensors[a];
    const auto& y = tensors[b];
    return std::make_pair(x.offset, x.bytes.size()) < std::make_pair(y.offset, y.bytes.size());
  });
  std::uint64_t end = data_begin;
  const StoredTensor* before = nullptr;
  for (const std::size_t i : order) {
    const StoredTensor& tensor = tensors[i];
    if (tensor.offset < end) {
      fail_field(
          raw_.path, tensor.name, positions_[i],
          "its data begins at byte {} and overlaps {}, which ends at byte {}", tensor.offset,
          before == nullptr ? "the header" : fmt::format("'{}'", base::printable(before->name)),
          end);
    }
    if (packing == Packing::dense && tensor.offset > end) {
      fail_field(raw_.path, tensor.name, positions_[i],
                 "its data begins at byte {}, after a hole of {} bytes", tensor.offset,
                 tensor.offset - end);
    }
    end = end_of(tensor);
    before = &tensor;
  }
  if (packing == Packing::dense && end != raw_.bytes.size()) {
    fail_field(raw_.path, before == nullptr ? "header" : before->name, end,
               "the data ends here, but the file has {} bytes", raw_.bytes.size());
  }
}

}  // namespace assay::files
