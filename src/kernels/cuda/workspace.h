#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace assay::kernels::cuda {

/// Scratch memory of one stream that grows and is kept. It grows before a graph is captured (the
/// same work runs once without), never inside: an address that a graph holds stays valid.
class Workspace {
 public:
  enum Slot { kActivation, kCodes, kScales, kAccumulator, kOutlier, kAttention, kOther, kSlots };
  explicit Workspace(tensor::Device device) : device_(device) {}
  [[nodiscard]] std::byte* get(Slot slot, std::size_t bytes) {
    if (buffers_[slot].size() < bytes) {
      old_.push_back(std::move(buffers_[slot]));  // a captured graph may still hold its address
      buffers_[slot] = tensor::Buffer(bytes, device_);
    }
    return buffers_[slot].data();
  }
  template <typename T>
  [[nodiscard]] T* array(Slot slot, std::int64_t count) {
    return reinterpret_cast<T*>(get(slot, static_cast<std::size_t>(count) * sizeof(T)));
  }

 private:
  tensor::Device device_;
  std::array<tensor::Buffer, kSlots> buffers_;
  std::vector<tensor::Buffer> old_;
};

}  // namespace assay::kernels::cuda
