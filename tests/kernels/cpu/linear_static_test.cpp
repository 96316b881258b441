#include <gtest/gtest.h>

#include <cfloat>
#include <limits>

#include "base/error.h"
#include "linear_testing.h"

// int8 with a fixed scale of activations against its definition, in integers and double.
namespace assay::kernels::cpu {
namespace {

using precision::Activation;
using precision::Encoding;
using tensor::DType;
using testing::CallOptions;
using testing::Values;

void check(const precision::EncodedTensor& weight, const Values& x, const CallOptions& options) {
  const std::int64_t k = weight.cols;
  const float range = options.activation_range;
  const auto* codes = reinterpret_cast<const std::int8_t*>(weight.codes.bytes.data());
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_static)) {
    const PackedWeight packed = testing::pack(*kernel, weight);
    const testing::CallResult result = testing::call(*kernel, packed, x, options);
    EXPECT_EQ(result.identity, kernel->identity);
    EXPECT_EQ(result.outlier_columns, 0);
    for (std::int64_t i = 0; i < std::ssize(result.y); ++i) {
      const std::int64_t r = i / weight.rows;
      const std::int64_t c = i % weight.rows;
      std::int64_t sum = 0;
      for (std::int64_t d = 0; d < k; ++d) {
        const float in = testing::rounded_to(options.x_type, x[r * k + d]);
        const float clamped = std::min(std::max(in, -range), range);
        sum += static_cast<std::int64_t>(std::nearbyint(clamped * (127.0F / range))) *
               codes[c * k + d];
      }
      const double bias = options.bias.empty() ? 0.0 : options.bias[c];
      const double main = static_cast<double>(sum) * range * weight.scales[c] / 16129.0;
      const double bound = (std::fabs(main) + std::fabs(bias)) * 8 * 0x1p-24 +
                           std::fabs(main + bias) * testing::half_ulp(options.y_type) + FLT_MIN;
      ASSERT_NEAR(result.y[i], main + bias, bound)
          << kernel->identity.kernel << " n=" << weight.rows << " k=" << k << " output " << i;
    }
  }
}

TEST(LinearStatic, EveryInstructionSetHasIt) {
  EXPECT_EQ(testing::runnable(Activation::int8_static).size(),
            testing::runnable(Activation::int8_dynamic).size());
}

TEST(LinearStatic, OverRemainders) {
  unsigned seed = 1;
  for (const std::int64_t n : {1, 2, 17, 31, 64, 65, 127}) {
    for (const std::int64_t k : {1, 2, 3, 15, 16, 33, 65, 96, 257}) {
      const auto weight = testing::random_weight(Encoding::int8, n, k, ++seed);
      for (const std::int64_t m : {1, 2, 3, 5, 8, 17}) {
        // Normal values and a range of 2: every twentieth value is clamped.
        check(weight, testing::random_values(m * k, ++seed), {.m = m, .activation_range = 2.0F});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(LinearStatic, TypesBiasAndManyRows) {
  const auto weight = testing::random_weight(Encoding::int8, 50, 200, 7);
  for (const DType x_type : {DType::f32, DType::f16, DType::bf16}) {
    for (const DType y_type : {DType::f32, DType::bf16}) {
      check(weight, testing::random_values(101 * 200, 8, 2.5F),
            {.m = 101,
             .x_type = x_type,
             .y_type = y_type,
             .threads = 2,
             .bias = testing::random_values(50, 9),
             .activation_range = 5.5F});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(LinearStatic, ExtremesOfCodes) {
  constexpr std::int64_t kDepth = 300;
  Values w(40 * kDepth);
  Values x(3 * kDepth);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = i % 2 == 0 ? 1.0F : -1.0F;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? 1e30F : -1e30F;
  x[5] = 1e-42F;  // a denormal is code 0
  check(testing::encode(Encoding::int8, w, 40, kDepth), x, {.m = 3, .activation_range = 0.75F});
}

/// What stands in other rows of the call changes nothing, nor does the number of threads.
TEST(LinearStatic, RowsStandAlone) {
  const auto weight = testing::random_weight(Encoding::int8, 70, 130, 21);
  const Values x = testing::random_values(9 * 130, 22, 3.0F);
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_static)) {
    const PackedWeight packed = testing::pack(*kernel, weight);
    const auto all =
        testing::call(*kernel, packed, x, {.m = 9, .threads = 2, .activation_range = 4.0F});
    for (std::int64_t r = 0; r < 9; ++r) {
      const Values row(x.begin() + r * 130, x.begin() + (r + 1) * 130);
      const auto one = testing::call(*kernel, packed, row, {.activation_range = 4.0F});
      for (std::int64_t c = 0; c < 70; ++c) ASSERT_EQ(one.y[c], all.y[r * 70 + c]);
    }
  }
}

TEST(LinearStatic, NotANumberIsNotHidden) {
  const auto weight = testing::random_weight(Encoding::int8, 33, 64, 31);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Values x = testing::random_values(2 * 64, 32);
    x[64 + 7] = bad;
    for (const LinearKernel* kernel : testing::runnable(Activation::int8_static)) {
      const auto result = testing::call(*kernel, testing::pack(*kernel, weight), x,
                                        {.m = 2, .activation_range = 1.0F});
      EXPECT_TRUE(std::isfinite(result.y[0])) << kernel->identity.kernel;
      EXPECT_TRUE(std::isnan(result.y[33])) << kernel->identity.kernel;
    }
  }
}

TEST(LinearStatic, WithoutARangeItIsAnError) {
  const auto weight = testing::random_weight(Encoding::int8, 4, 8, 41);
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_static)) {
    EXPECT_THROW((void)testing::call(*kernel, testing::pack(*kernel, weight), Values(8), {}),
                 Error);
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
