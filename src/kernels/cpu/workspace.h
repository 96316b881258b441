#pragma once

#include <array>
#include <cstddef>

#include "tensor/tensor.h"

namespace assay::kernels::cpu {

/// Scratch memory that grows and is kept: no allocation in a steady state. One user per slot at a
/// time; contents do not survive the op that asked.
class Workspace {
 public:
  enum Slot {
    kActivation,
    kArranged,
    kCodes,
    kScales,
    kAccumulator,
    kOutlier,
    kAttention,
    kOther,
    kSlots
  };
  [[nodiscard]] std::byte* get(Slot slot, std::size_t bytes) {
    if (buffers_[slot].size() < bytes) buffers_[slot] = tensor::Buffer(bytes);
    return buffers_[slot].data();
  }
  template <typename T>
  [[nodiscard]] T* array(Slot slot, std::int64_t count) {
    return reinterpret_cast<T*>(get(slot, static_cast<std::size_t>(count) * sizeof(T)));
  }

 private:
  std::array<tensor::Buffer, kSlots> buffers_;
};

}  // namespace assay::kernels::cpu
