#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "int8_cases.h"

// int8 with a fixed scale of activations against its definition, in integers and double.
namespace assay::kernels::cpu {
namespace {

using precision::Activation;
using precision::Encoding;
using testing::CallOptions;
using testing::Values;

void check_static(const precision::EncodedTensor& weight, const Values& x,
                  const CallOptions& options) {
  testing::check_int8(Activation::int8_static, weight, x, options);
}

TEST(LinearStatic, EveryInstructionSetHasIt) {
  EXPECT_EQ(testing::runnable(Activation::int8_static).size(),
            testing::runnable(Activation::int8_dynamic).size());
}

/// Normal values and a range of 2: every twentieth value is clamped.
TEST(LinearStatic, OverRemainders) {
  testing::check_int8_remainders(Activation::int8_static, 2.0F);
}

TEST(LinearStatic, TypesBiasAndManyRows) {
  testing::check_int8_types_bias_and_many_rows(Activation::int8_static, {.activation_range = 5.5F});
}

TEST(LinearStatic, ExtremesOfCodes) {
  constexpr std::int64_t kDepth = 300;
  Values w(40 * kDepth);
  Values x(3 * kDepth);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = i % 2 == 0 ? 1.0F : -1.0F;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? 1e30F : -1e30F;
  x[5] = 1e-42F;  // a denormal is code 0
  check_static(testing::encode(Encoding::int8, w, 40, kDepth), x,
               {.m = 3, .activation_range = 0.75F});
}

TEST(LinearStatic, BitsDoNotDependOnBatchOrThreads) {
  testing::check_int8_batches(Activation::int8_static, 2.0F);
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
