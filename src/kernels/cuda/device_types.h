#pragma once

#include <cstdint>

namespace assay::kernels::cuda {

// What C++ and device code both know. Plain data and few includes: nvcc reads this for every file.

enum class Element : std::uint8_t { f32, f16, bf16 };

/// tensor::MatrixView on the device.
struct DeviceMatrix {
  void* data = nullptr;
  Element type = Element::f32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;  ///< elements
};

}  // namespace assay::kernels::cuda
