#pragma once

#include <gtest/gtest.h>

#include "linear_reference.h"

// What kernels with int8 activations have in common, whatever their scales come from.
namespace assay::kernels::cpu::testing {

inline void check_int8(Activation activation, const EncodedTensor& weight, const Values& x,
                       const CallOptions& options) {
  const Int8Reference expected = int8_reference(weight, x, options);
  for (const LinearKernel* kernel : runnable(activation)) {
    const PackedWeight packed = pack(*kernel, weight);
    const CallResult result = call(*kernel, packed, x, options);
    EXPECT_EQ(result.identity, kernel->identity);
    ASSERT_EQ(result.outlier_columns, expected.outlier_columns) << kernel->identity.kernel;
    for (std::size_t i = 0; i < result.y.size(); ++i) {
      ASSERT_NEAR(result.y[i], expected.y[i], expected.bound[i])
          << kernel->identity.kernel << " n=" << weight.rows << " k=" << weight.cols
          << " m=" << options.m << " output " << i;
    }
  }
}

inline void check_int8_remainders(Activation activation, float range) {
  unsigned seed = 1;
  for (const std::int64_t n : {1, 2, 17, 31, 64, 65, 127}) {
    for (const std::int64_t k : {1, 2, 3, 15, 16, 33, 65, 96, 257}) {
      const auto weight = random_weight(Encoding::int8, n, k, ++seed);
      for (const std::int64_t m : {1, 2, 3, 5, 8, 17}) {
        check_int8(activation, weight, random_values(m * k, ++seed),
                   {.m = m, .activation_range = range});
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

/// `options` says how outliers or ranges are had.
inline void check_int8_types_bias_and_many_rows(Activation activation, CallOptions options) {
  constexpr std::int64_t kRows = 101, kColumns = 50, kDepth = 200;
  const auto weight = random_weight(Encoding::int8, kColumns, kDepth, 7);
  options.m = kRows;
  options.threads = 2;
  options.bias = random_values(kColumns, 9);
  for (const DType x_type : {DType::f32, DType::f16, DType::bf16}) {
    for (const DType y_type : {DType::f32, DType::bf16}) {
      options.x_type = x_type;
      options.y_type = y_type;
      check_int8(activation, weight, random_values(kRows * kDepth, 8, 2.5F), options);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

/// Rows of [m, n] results that stand alone are the last of those in a batch, whatever the threads.
inline void check_int8_batches(Activation activation, float range) {
  constexpr std::int64_t kRows = 100, kDepth = 300, kColumns = 130;
  const auto weight = random_weight(Encoding::int8, kColumns, kDepth, 51);
  const Values x = random_values(kRows * kDepth, 52);
  for (const LinearKernel* kernel : runnable(activation)) {
    const PackedWeight packed = pack(*kernel, weight);
    const Values all = call(*kernel, packed, x, {.m = kRows, .activation_range = range}).y;
    for (const std::int64_t m : {1, 16, 37, 100}) {
      for (const int threads : {1, 2, 3}) {
        const Values part(x.end() - m * kDepth, x.end());
        const Values y =
            call(*kernel, packed, part, {.m = m, .threads = threads, .activation_range = range}).y;
        ASSERT_TRUE(std::equal(y.begin(), y.end(), all.end() - m * kColumns))
            << kernel->identity.kernel << " m=" << m << " threads=" << threads;
      }
    }
  }
}

}  // namespace assay::kernels::cpu::testing
