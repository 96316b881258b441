#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/linear.h"
#include "precision/sample_weight.h"

// What the tests of linear kernels share: weights, calls and references in double.
namespace assay::kernels::cpu::testing {

using precision::Activation;
using precision::EncodedTensor;
using precision::Encoding;
using tensor::DType;

using Values = std::vector<float>;

inline Values random_values(std::int64_t count, unsigned seed, float scale = 1.0F) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  Values values(static_cast<std::size_t>(count));
  for (float& v : values) v = normal(engine);
  return values;
}

/// The others have tests of their own, on random codes (linear_grouped_test.cpp).
inline bool encodes(Encoding encoding) {
  const precision::EncodingInfo& info = precision::info(encoding);
  return info.encode != nullptr || info.blocks != nullptr;
}

inline EncodedTensor encode(Encoding encoding, const Values& values, std::int64_t n, std::int64_t k,
                            bool double_quant = false) {
  EncodedTensor tensor = precision::info(encoding).encode(values, n, k);
  if (double_quant) precision::quantize_scales(tensor);
  return tensor;
}

inline EncodedTensor random_weight(Encoding encoding, std::int64_t n, std::int64_t k, unsigned seed,
                                   bool double_quant = false) {
  if (precision::info(encoding).encode == nullptr) {
    return precision::sample_weight(encoding, n, k, seed);
  }
  return encode(encoding, random_values(n * k, seed, 0.3F), n, k, double_quant);
}

inline Values decoded(const EncodedTensor& weight) {
  Values values(static_cast<std::size_t>(weight.elements()));
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    precision::info(weight.encoding)
        .decode_row(weight, r,
                    {values.data() + r * weight.cols, static_cast<std::size_t>(weight.cols)});
  }
  return values;
}

inline float rounded_to(DType type, float value) {
  return tensor::dispatch_float(
      type, [&](auto tag) { return tensor::rounded<typename decltype(tag)::type>(value); });
}

/// Half a unit in the last place, relative to the value.
inline double half_ulp(DType type) {
  return type == DType::f32 ? 0x1p-24 : type == DType::f16 ? 0x1p-11 : 0x1p-8;
}

inline tensor::Matrix matrix_of(const Values& values, std::int64_t rows, std::int64_t cols,
                                DType type) {
  tensor::Matrix m(type, rows, cols);
  for (std::int64_t r = 0; r < rows; ++r) {
    tensor::store_row(m.view(), r, {values.data() + r * cols, static_cast<std::size_t>(cols)});
  }
  return m;
}

inline Values values_of(const tensor::Matrix& m) {
  Values values(static_cast<std::size_t>(m.rows() * m.cols()));
  for (std::int64_t r = 0; r < m.rows(); ++r) {
    tensor::load_row(m.view(), r,
                     {values.data() + r * m.cols(), static_cast<std::size_t>(m.cols())});
  }
  return values;
}

/// A pool of so many threads, kept.
inline base::ThreadPool& pool_of(int threads) {
  static std::map<int, std::unique_ptr<base::ThreadPool>> pools;
  std::unique_ptr<base::ThreadPool>& pool = pools[threads];
  if (pool == nullptr) pool = std::make_unique<base::ThreadPool>(threads);
  return *pool;
}

/// How a kernel is called; m rows of x.
struct CallOptions {
  std::int64_t m = 1;
  DType x_type = DType::f32;
  DType y_type = DType::f32;
  float threshold = 0.0F;
  int threads = 1;
  Values bias = {};
  const std::vector<std::int32_t>* fixed_outliers = nullptr;
  float activation_range = 0.0F;
};

struct CallResult {
  Values y;
  precision::KernelIdentity identity;
  std::int64_t outlier_columns = 0;
};

inline CallResult call(const LinearKernel& kernel, const PackedWeight& weight, const Values& x,
                       const CallOptions& options) {
  Workspace workspace;
  const tensor::Matrix in = matrix_of(x, options.m, weight.k, options.x_type);
  const tensor::Matrix out(options.y_type, options.m, weight.n);
  LinearCall run{.weight = weight,
                 .x = in.view(),
                 .y = out.view(),
                 .bias = options.bias,
                 .threshold = options.threshold,
                 .fixed_outliers = options.fixed_outliers,
                 .activation_range = options.activation_range,
                 .pool = pool_of(options.threads),
                 .workspace = workspace};
  CallResult result;
  result.identity = kernel.run(run);
  result.y = values_of(out);
  result.outlier_columns = run.outlier_columns;
  return result;
}

inline PackedWeight pack(const LinearKernel& kernel, const EncodedTensor& weight, int threads = 1) {
  return kernel.pack(weight, pool_of(threads));
}

/// Kernels whose instruction set this machine has.
inline std::vector<const LinearKernel*> runnable(Activation activation) {
  std::vector<const LinearKernel*> kernels;
  for (const LinearKernel& kernel : linear_kernels()) {
    bool there = false;
    for (const Isa isa : available_isas()) there = there || name_of(isa) == kernel.identity.path;
    if (there && kernel.identity.activation == activation) kernels.push_back(&kernel);
  }
  return kernels;
}

inline bool supports(const LinearKernel& kernel, std::int64_t n, std::int64_t k) {
  const LinearProblem problem{
      .encoding = kernel.identity.encoding,
      .activation = kernel.identity.activation,
      .compute = kernel.identity.compute == DType::i8 ? DType::bf16 : kernel.identity.compute,
      .n = n,
      .k = k};
  return kernel.supports(problem, cpu_features(), nullptr);
}

inline bool is_four_bit(Encoding e) { return e == Encoding::nf4 || e == Encoding::fp4; }

/// The smallest depth >= k that an encoding can have.
inline std::int64_t fitting_depth(Encoding e, std::int64_t k) {
  const precision::EncodingInfo& info = precision::info(e);
  if (!info.row_aligned || info.block <= 1) return k;
  return (k + info.block - 1) / info.block * info.block;
}

}  // namespace assay::kernels::cpu::testing
