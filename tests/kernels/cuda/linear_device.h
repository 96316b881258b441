#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/linear_groups.h"
#include "kernels/cpu/linear_reference.h"
#include "kernels/cuda/linear.h"

// What the tests of the device's linear kernels share.
namespace assay::kernels::cuda::testing {

using cpu::testing::CallOptions;
using cpu::testing::Values;
using precision::Activation;
using precision::EncodedTensor;
using precision::Encoding;
using tensor::DType;

inline bool is_four_bit(Encoding encoding) {
  return encoding == Encoding::nf4 || encoding == Encoding::fp4;
}

/// Skips where there is no device, with the reason.
class OnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!unavailable().empty()) GTEST_SKIP() << unavailable();
  }
};

inline Stream& stream() {
  static auto& one = *[] {
    install_allocator();
    return new Stream(0);
  }();
  return one;
}
inline tensor::Device device() { return {tensor::DeviceKind::cuda, 0}; }

/// Kernels of the path that runs, for which supports() has nothing against the device.
inline std::vector<const LinearKernel*> runnable() {
  std::vector<const LinearKernel*> kernels;
  for (const LinearKernel& kernel : linear_kernels()) {
    const LinearProblem problem{.encoding = kernel.identity.encoding,
                                .activation = kernel.identity.activation,
                                .compute = kernel.identity.compute,
                                .n = 64,
                                .k = 256};
    if (kernel.supports(problem, stream().device(), nullptr)) kernels.push_back(&kernel);
  }
  return kernels;
}
inline std::vector<const LinearKernel*> runnable(Activation activation) {
  std::vector<const LinearKernel*> kernels = runnable();
  std::erase_if(kernels, [&](const LinearKernel* kernel) {
    return kernel->identity.activation != activation;
  });
  return kernels;
}

/// A matrix of the device inside a larger one of poison: `pad` columns more, and a row.
class Poisoned {
 public:
  Poisoned(DType type, std::int64_t rows, std::int64_t cols, std::int64_t pad)
      : host_(type, rows + 1, cols + pad),
        device_(type, rows + 1, cols + pad, device()),
        cols_(cols) {
    std::memset(host_.view().data, 0xff, host_.bytes());  // NaN in every type
  }
  void set(const Values& values) {
    for (std::int64_t r = 0; r < rows(); ++r) {
      tensor::store_row(inside(host_), r,
                        {values.data() + r * cols_, static_cast<std::size_t>(cols_)});
    }
  }
  void upload() const {
    stream().copy_to_device(device_.view().data, host_.view().data, host_.bytes());
  }
  /// Brings the device's content back; false if anything beside the matrix was written.
  [[nodiscard]] bool download() {
    stream().copy_to_host(host_.view().data, device_.view().data, host_.bytes());
    stream().synchronize();
    const auto size = static_cast<std::int64_t>(tensor::size_of(host_.type()));
    for (std::int64_t r = 0; r < host_.rows(); ++r) {
      const std::int64_t first = r < rows() ? cols_ : 0;
      const auto* row = reinterpret_cast<const unsigned char*>(host_.view().row_bytes(r));
      for (std::int64_t i = first * size; i < host_.cols() * size; ++i) {
        if (row[i] != 0xff) return false;
      }
    }
    return true;
  }
  [[nodiscard]] Values values() const {
    Values all(static_cast<std::size_t>(rows() * cols_));
    for (std::int64_t r = 0; r < rows(); ++r) {
      tensor::load_row(inside(host_), r, {all.data() + r * cols_, static_cast<std::size_t>(cols_)});
    }
    return all;
  }
  [[nodiscard]] tensor::MatrixView view() const { return inside(device_); }

 private:
  [[nodiscard]] std::int64_t rows() const { return host_.rows() - 1; }
  [[nodiscard]] tensor::MatrixView inside(const tensor::Matrix& m) const {
    return m.view(rows()).columns(0, cols_);
  }
  tensor::Matrix host_;
  tensor::Matrix device_;
  std::int64_t cols_;
};

template <typename T>
tensor::Buffer on_device(const std::vector<T>& values) {
  tensor::Buffer buffer(values.size() * sizeof(T), device());
  stream().copy_to_device(buffer.data(), values.data(), buffer.size());
  stream().synchronize();
  return buffer;
}
template <typename T>
std::vector<T> from_device(const tensor::Buffer& buffer) {
  std::vector<T> values(buffer.size() / sizeof(T));
  stream().copy_to_host(values.data(), buffer.data(), buffer.size());
  stream().synchronize();
  return values;
}

/// Beside what CallOptions say.
struct DeviceOptions {
  std::int64_t x_pad = 0;  ///< columns between rows of x: odd ones make it be copied
  bool fixed_tiles = false;
  std::vector<std::int32_t> fixed_outliers = {};
  float activation_range = 0.0F;
};

struct DeviceResult {
  Values y;
  precision::KernelIdentity identity;
  std::int32_t outlier_columns = 0;
  bool untouched = false;  ///< nothing beside y was written
};

inline DeviceResult call(const LinearKernel& kernel, const PackedWeight& weight, const Values& x,
                         const CallOptions& options, const DeviceOptions& more = {}) {
  Workspace workspace(device());
  Poisoned in(options.x_type, options.m, weight.k, more.x_pad);
  Poisoned out(options.y_type, options.m, weight.n, 3);
  in.set(x);
  in.upload();
  out.upload();
  const tensor::Buffer bias = on_device(options.bias);
  const tensor::Buffer fixed = on_device(more.fixed_outliers);
  tensor::Buffer found = on_device(std::vector<std::int32_t>{0});
  LinearCall run{.weight = weight,
                 .x = in.view(),
                 .y = out.view(),
                 .bias = bias.as<float>(),
                 .threshold = options.threshold,
                 .fixed_tiles = more.fixed_tiles,
                 .stream = stream(),
                 .workspace = workspace,
                 .outlier_columns = found.as<std::int32_t>(),
                 .fixed_outliers = fixed.as<std::int32_t>(),
                 .fixed_outlier_count = static_cast<std::int32_t>(more.fixed_outliers.size()),
                 .activation_range = more.activation_range};
  DeviceResult result;
  result.identity = kernel.run(run);
  result.untouched = out.download();
  result.y = out.values();
  result.outlier_columns = from_device<std::int32_t>(found)[0];
  return result;
}

inline void expect_near(const Values& y, const std::vector<double>& expected,
                        const std::vector<double>& bound, const std::string& what) {
  ASSERT_EQ(y.size(), expected.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    ASSERT_NEAR(y[i], expected[i], bound[i]) << what << ", output " << i;
  }
}

inline double step_of(const LinearKernel& kernel) {
  const bool tensor_cores =
      kernel.identity.activation != Activation::native || kernel.identity.compute != DType::f32;
  return tensor_cores ? cpu::testing::kTensorCoreStep : cpu::testing::kOneRounding;
}

inline bool is_grouped(Encoding encoding) {
  return encoding == Encoding::int4 || encoding == Encoding::uint8;
}

/// A random weight in any encoding that has kernels.
inline EncodedTensor random_weight(Encoding encoding, std::int64_t n, std::int64_t k, unsigned seed,
                                   bool double_quant = false) {
  if (!is_grouped(encoding)) return cpu::testing::random_weight(encoding, n, k, seed, double_quant);
  return cpu::testing::grouped_weight({encoding, n, k, k % 64 == 0 ? 64 : 32, seed % 2 == 0});
}

/// Depths that an encoding can have on the device: whole blocks.
inline std::int64_t fitting_depth(Encoding encoding, std::int64_t k) {
  const int block = is_grouped(encoding) ? 32 : precision::info(encoding).block;
  return block <= 1 ? k : (k + block - 1) / block * block;
}

/// Rounded to tf32: ten bits after the point, to nearest, ties away from zero.
inline float to_tf32(float value) {
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x1000U) & ~0x1fffU);
}

}  // namespace assay::kernels::cuda::testing
