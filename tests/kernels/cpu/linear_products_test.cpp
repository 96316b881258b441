#include <gtest/gtest.h>

#include <bit>

#include "linear_testing.h"

// Several weights that share one x, in one call: the bits of calls of their own.
namespace assay::kernels::cpu {
namespace {

using testing::Activation;
using testing::DType;
using testing::Values;

struct Part {
  PackedWeight weight;
  Values bias;
  tensor::Matrix y;
};

std::vector<Part> random_parts(const LinearKernel& kernel, std::int64_t k, std::int64_t m) {
  std::vector<Part> parts;
  unsigned seed = 100;
  for (const std::int64_t n : {70, 33, 32, 5}) {
    const auto weight = testing::random_weight(kernel.identity.encoding, n, k, ++seed);
    parts.push_back({testing::pack(kernel, weight),
                     n == 33 ? Values{} : testing::random_values(n, ++seed),
                     tensor::Matrix(DType::f32, m, n)});
  }
  return parts;
}

void expect_bits_of_single_calls(const LinearKernel& kernel, std::int64_t m, int threads) {
  const std::int64_t k = testing::fitting_depth(kernel.identity.encoding, 192);
  const std::vector<Part> parts = random_parts(kernel, k, m);
  Values x = testing::random_values(m * k, 7);
  for (std::int64_t r = 0; r < m; ++r) x[r * k + 17] = 9.0F;  // an outlier column
  const float threshold = kernel.identity.activation == Activation::native ? 0.0F : 6.0F;

  const tensor::Matrix in = testing::matrix_of(x, m, k, DType::f32);
  std::vector<LinearProduct> others;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    others.push_back({parts[i].weight, parts[i].y.view(), parts[i].bias});
  }
  Workspace workspace;
  LinearCall call{.weight = parts[0].weight,
                  .x = in.view(),
                  .y = parts[0].y.view(),
                  .bias = parts[0].bias,
                  .threshold = threshold,
                  .pool = testing::pool_of(threads),
                  .workspace = workspace,
                  .others = others};
  EXPECT_EQ(kernel.run(call), kernel.identity);
  for (const Part& part : parts) {
    const auto alone =
        testing::call(kernel, part.weight, x, {.m = m, .threshold = threshold, .bias = part.bias});
    EXPECT_EQ(alone.outlier_columns, call.outlier_columns);
    const Values y = testing::values_of(part.y);
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(y[i]), std::bit_cast<std::uint32_t>(alone.y[i]))
          << kernel.identity.kernel << " n=" << part.weight.n << " m=" << m << " t=" << threads;
    }
  }
}

TEST(LinearProducts, EveryKernelHasTheBitsOfSingleCalls) {
  for (const Activation activation : {Activation::native, Activation::int8_dynamic}) {
    for (const LinearKernel* kernel : testing::runnable(activation)) {
      if (!testing::encodes(kernel->identity.encoding)) continue;
      for (const int threads : {1, 2, 3}) {
        for (const std::int64_t m : {1, 5, 50}) {
          expect_bits_of_single_calls(*kernel, m, threads);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
