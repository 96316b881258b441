#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/hash.h"
#include "kernels/cpu/matrix_helpers.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/workspace.h"
#include "tensor/tensor.h"

namespace assay::kernels::cuda {

using cpu::expect_rounded;
using cpu::kFloatTypes;
using cpu::smallest_error;
using cpu::unit_roundoff;

inline constexpr double kF32 = 0x1p-24;

/// Tests that need a device are skipped without one, with the reason.
class OnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!unavailable().empty()) GTEST_SKIP() << unavailable();
    install_allocator();
    stream_ = std::make_unique<Stream>(devices().front().index);
    workspace_ = std::make_unique<Workspace>(device());
  }
  [[nodiscard]] tensor::Device device() const {
    return {tensor::DeviceKind::cuda, devices().front().index};
  }
  [[nodiscard]] Stream& stream() { return *stream_; }
  [[nodiscard]] Workspace& workspace() { return *workspace_; }

  /// An array on the device; lives until the test ends.
  template <typename T>
  T* array(const std::vector<T>& values) {
    arrays_.emplace_back(std::max<std::size_t>(values.size() * sizeof(T), 1), device());
    T* data = arrays_.back().as<T>();
    stream().copy_to_device(data, values.data(), values.size() * sizeof(T));
    stream().synchronize();
    return data;
  }
  template <typename T>
  std::vector<T> read(const T* data, std::size_t count) {
    std::vector<T> values(count);
    stream().copy_to_host(values.data(), data, count * sizeof(T));
    stream().synchronize();
    return values;
  }

 private:
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Workspace> workspace_;
  std::vector<tensor::Buffer> arrays_;
};

/// A matrix on the host and its copy on the device, with `pad` more columns than its view: 3 make
/// rows unaligned, 8 strided and aligned.
class TestMatrix {
 public:
  TestMatrix(tensor::DType type, std::int64_t rows, std::int64_t cols, std::int64_t pad,
             Stream& stream)
      : host_(type, rows, cols + pad, true),
        device_(type, rows, cols + pad,
                tensor::Device{tensor::DeviceKind::cuda, stream.device().index}),
        cols_(cols),
        stream_(&stream) {}

  /// Normal values of deviation `scale`.
  static TestMatrix random(tensor::DType type, std::int64_t rows, std::int64_t cols,
                           std::int64_t pad, Stream& stream, std::uint64_t seed,
                           double scale = 1.0) {
    TestMatrix m(type, rows, cols, pad, stream);
    base::Random random(seed);
    std::vector<float> row(static_cast<std::size_t>(cols + pad));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (float& v : row) v = static_cast<float>(random.normal() * scale);
      tensor::store_row(m.host_.view(), r, row);
    }
    m.upload();
    return m;
  }
  /// Every bit set, which is NaN in every type.
  static TestMatrix poisoned(tensor::DType type, std::int64_t rows, std::int64_t cols,
                             std::int64_t pad, Stream& stream) {
    TestMatrix m(type, rows, cols, pad, stream);
    std::memset(m.host_.view().data, 0xff, m.host_.bytes());
    m.upload();
    return m;
  }

  void upload() {
    stream_->copy_to_device(device_.view().data, host_.view().data, host_.bytes());
    stream_->synchronize();
  }
  void download() {
    stream_->copy_to_host(host_.view().data, device_.view().data, host_.bytes());
    stream_->synchronize();
  }
  [[nodiscard]] tensor::MatrixView view() const { return device_.view().columns(0, cols_); }
  [[nodiscard]] tensor::DType type() const { return host_.type(); }
  [[nodiscard]] std::int64_t rows() const { return host_.rows(); }
  [[nodiscard]] std::int64_t cols() const { return cols_; }

  /// Of the host's copy.
  [[nodiscard]] std::vector<float> row(std::int64_t r) const {
    std::vector<float> values(static_cast<std::size_t>(cols_));
    tensor::load_row(host_.view().columns(0, cols_), r, values);
    return values;
  }
  void set_row(std::int64_t r, const std::vector<float>& values) {
    tensor::store_row(host_.view().columns(0, cols_), r, values);
  }
  /// The bits beside the view, which no kernel may touch.
  [[nodiscard]] std::vector<std::byte> padding() const {
    std::vector<std::byte> all;
    const std::size_t size = tensor::size_of(host_.type());
    for (std::int64_t r = 0; r < host_.rows(); ++r) {
      const std::byte* row = host_.view().row_bytes(r);
      all.insert(all.end(), row + static_cast<std::size_t>(cols_) * size,
                 row + static_cast<std::size_t>(host_.cols()) * size);
    }
    return all;
  }

 private:
  tensor::Matrix host_;
  tensor::Matrix device_;
  std::int64_t cols_;
  Stream* stream_;
};

inline float rounded_to(tensor::DType type, float value) {
  return tensor::dispatch_float(
      type, [&](auto tag) { return tensor::rounded<typename decltype(tag)::type>(value); });
}

/// Equal, or both NaN.
inline void expect_same(float value, float wanted) {
  if (std::isnan(wanted)) {
    EXPECT_TRUE(std::isnan(value)) << value;
  } else {
    EXPECT_EQ(value, wanted);
  }
}

inline std::vector<float> random_values(std::int64_t count, std::uint64_t seed,
                                        double scale = 1.0) {
  base::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(random.normal() * scale);
  return values;
}

}  // namespace assay::kernels::cuda
