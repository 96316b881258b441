#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <limits>

#include "int8_cases.h"

// LLM.int8() against its definition, in integers and double.
namespace assay::kernels::cpu {
namespace {

using precision::Activation;
using precision::Encoding;
using tensor::DType;
using testing::CallOptions;
using testing::Values;

void check(const precision::EncodedTensor& weight, const Values& x, const CallOptions& options) {
  testing::check_int8(Activation::int8_dynamic, weight, x, options);
}

TEST(LinearInt8, OverRemainders) { testing::check_int8_remainders(Activation::int8_dynamic, 0.0F); }

TEST(LinearInt8, TypesBiasAndManyRows) {
  testing::check_int8_types_bias_and_many_rows(Activation::int8_dynamic, {.threshold = 6.0F});
}

TEST(LinearInt8, OutlierColumns) {
  constexpr std::int64_t kDepth = 96, kRows = 5;
  const auto weight = testing::random_weight(Encoding::int8, 40, kDepth, 11);
  for (const std::int64_t count : {0, 1, 8, 64, 96}) {
    Values x = testing::random_values(kRows * kDepth, 12, 0.5F);
    for (std::int64_t i = 0; i < count; ++i) {
      // Scattered columns, each an outlier in one row only; one exactly at the threshold.
      x[(i % kRows) * kDepth + (i * 7) % kDepth] = i == 0 ? -6.0F : 10.0F + static_cast<float>(i);
    }
    for (const DType type : {DType::f32, DType::bf16}) {
      check(weight, x, {.m = kRows, .x_type = type, .threshold = 6.0F});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(LinearInt8, ThresholdZeroTakesNothingOut) {
  const auto weight = testing::random_weight(Encoding::int8, 33, 64, 21);
  check(weight, testing::random_values(3 * 64, 22, 50.0F), {.m = 3});
}

/// Codes at both ends in every place: 16-bit sums of pairs would saturate. With absmax 127 on both
/// sides codes are values and sums must be exact integers.
TEST(LinearInt8, SumsAreExact) {
  constexpr std::int64_t kDepth = 250, kColumns = 36, kRows = 9;
  for (const int pattern : {0, 1, 2}) {
    const auto sign = [&](std::int64_t a, std::int64_t b) {
      return pattern == 0 || (pattern == 1 ? b % 2 == 0 : (a + b * b) % 3 == 0) ? 127.0F : -127.0F;
    };
    Values w(kColumns * kDepth), x(kRows * kDepth);
    for (std::int64_t i = 0; i < kDepth; ++i) {
      for (std::int64_t c = 0; c < kColumns; ++c) w[c * kDepth + i] = sign(c, i);
      for (std::int64_t r = 0; r < kRows; ++r) {
        x[r * kDepth + i] = r == 8 ? static_cast<float>((i * 37) % 255 - 127) : -sign(r, i);
      }
    }
    x[8 * kDepth] = 127.0F;
    const auto weight = testing::encode(Encoding::int8, w, kColumns, kDepth);
    for (const LinearKernel* kernel : testing::runnable(Activation::int8_dynamic)) {
      const Values y =
          testing::call(*kernel, testing::pack(*kernel, weight), x, {.m = kRows, .threads = 2}).y;
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t c = 0; c < kColumns; ++c) {
          std::int64_t sum = 0;
          for (std::int64_t i = 0; i < kDepth; ++i) {
            sum += static_cast<std::int64_t>(x[r * kDepth + i]) *
                   static_cast<std::int64_t>(w[c * kDepth + i]);
          }
          // Three roundings of scales: less than one in 2^21 here.
          ASSERT_NEAR(y[r * kColumns + c], static_cast<double>(sum),
                      std::fabs(static_cast<double>(sum)) * 0x1p-22)
              << kernel->identity.kernel << " pattern " << pattern;
        }
      }
    }
  }
}

TEST(LinearInt8, ZerosAndTinyRows) {
  Values w = testing::random_values(34 * 40, 31);
  std::fill_n(w.begin() + 40, 40, 0.0F);
  Values x = testing::random_values(4 * 40, 32);
  std::fill_n(x.begin(), 40, 0.0F);
  std::fill_n(x.begin() + 40, 40, 1e-40F);  // 127 / absmax is infinite
  std::fill_n(x.begin() + 80, 40, 1e36F);   // 127 / absmax is tiny
  check(testing::encode(Encoding::int8, w, 34, 40), x, {.m = 4});
}

TEST(LinearInt8, NotANumberFillsItsRow) {
  const auto weight = testing::random_weight(Encoding::int8, 35, 70, 41);
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), -std::bit_cast<float>(0x7f800001U),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_dynamic)) {
    const PackedWeight packed = testing::pack(*kernel, weight);
    for (const float value : bad) {
      for (const std::int64_t at : {0, 69}) {
        for (const float threshold : {0.0F, 6.0F}) {
          Values x = testing::random_values(3 * 70, 42);
          x[70 + at] = value;
          x[5] = x[145] = 9.0F;  // other outliers, before and after, must be seen all the same
          const testing::CallResult result =
              testing::call(*kernel, packed, x, {.m = 3, .threshold = threshold});
          for (std::int64_t i = 0; i < 3 * 35; ++i) {
            ASSERT_EQ(std::isnan(result.y[i]), i / 35 == 1) << kernel->identity.kernel;
          }
          const int expected = threshold == 0.0F ? 0 : std::isnan(value) ? 1 : 2;
          EXPECT_EQ(result.outlier_columns, expected);
        }
      }
    }
  }
}

TEST(LinearInt8, WithoutOutliersBitsDoNotDependOnBatchOrThreads) {
  testing::check_int8_batches(Activation::int8_dynamic, 0.0F);
}

}  // namespace
}  // namespace assay::kernels::cpu
