#include "files/parts_merger.h"

#include <algorithm>

#include "base/io.h"
#include "files/tensor_file_builder.h"

namespace assay::files {

PartsMerger::PartsMerger(std::filesystem::path path)
    : owners_(std::make_shared<std::vector<std::shared_ptr<const void>>>()) {
  result_.path_ = std::move(path);
  result_.owner_ = owners_;
}

void PartsMerger::charge(const StoredTensor& tensor) {
  spent_ += cost_of(tensor.name.size(), tensor.shape.size());
  if (spent_ > kHeaderBudget) {
    fail_field(result_.parts_.back(), tensor.name, tensor.offset,
               "the names of all parts together take more than the {} MiB they may",
               kHeaderBudget >> 20);
  }
}

void PartsMerger::add(TensorFile&& part) {
  if (result_.parts_.empty()) {
    result_.format_ = part.format_;
    result_.metadata_ = std::move(part.metadata_);
  }
  if (part.format_ != result_.format_) {
    fail_field(part.path_, "magic", 0, "is {}, but {} is {}", part.format_,
               shown(result_.parts_.front()), result_.format_);
  }
  const auto index = static_cast<std::uint32_t>(result_.parts_.size());
  result_.parts_.push_back(part.path_);
  owners_->push_back(part.owner_);
  for (StoredTensor& tensor : part.tensors_) {
    charge(tensor);
    tensor.part = index;
    result_.tensors_.push_back(std::move(tensor));
  }
}

TensorFile PartsMerger::finish() {
  const auto& tensors = result_.tensors_;
  result_.by_name_ = order_by_name(tensors);
  const auto same = [&](std::size_t a, std::size_t b) {
    return tensors[a].name == tensors[b].name;
  };
  const auto twice = std::adjacent_find(result_.by_name_.begin(), result_.by_name_.end(), same);
  if (twice != result_.by_name_.end()) {
    const StoredTensor& first = tensors[twice[0]];
    const StoredTensor& second = tensors[twice[1]];
    fail_field(result_.parts_[second.part], second.name, second.offset,
               "a second tensor of this name; the first is in {}",
               shown(result_.parts_[first.part]));
  }
  return std::move(result_);
}

}  // namespace assay::files
