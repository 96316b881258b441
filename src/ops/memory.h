#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/context.h"

namespace assay::ops {

/// f32 values of a norm, a bias or a table of frequencies, in the memory of one device.
class Vector {
 public:
  Vector() = default;
  Vector(std::vector<float> values, tensor::Device device, Context& context);

  /// In the memory of device().
  [[nodiscard]] std::span<const float> view() const { return view_; }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  [[nodiscard]] std::int64_t size() const { return std::ssize(view_); }
  [[nodiscard]] tensor::Device device() const { return buffer_.device(); }

 private:
  std::vector<float> values_;  ///< on the CPU
  tensor::Buffer buffer_;      ///< elsewhere
  std::span<const float> view_;
};

/// Row numbers of an op: on the host always (where they are checked), and in the memory of the
/// device on which the op runs.
struct Indices {
  Indices() = default;
  Indices(std::span<const std::int32_t> on_host, const std::int32_t* on_device = nullptr)
      : host(on_host), device(on_device) {}
  Indices(const std::vector<std::int32_t>& on_host) : host(on_host) {}
  std::span<const std::int32_t> host;
  const std::int32_t* device = nullptr;
};

/// to = from, of equal shapes and types, both without gaps between rows; between any two devices.
/// On the host it is there on return.
void copy(tensor::MatrixView from, tensor::MatrixView to, Context& context);

/// Notes whether x has a NaN or infinity: on the CPU in `seen`, on a CUDA device in its queue's
/// notes, without waiting.
void note_non_finite(tensor::MatrixView x, bool& seen, Context& context);
/// The same question answered at once; forgets a CUDA queue's notes.
[[nodiscard]] bool all_finite(tensor::MatrixView x, Context& context);

}  // namespace assay::ops
