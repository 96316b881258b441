#include <gtest/gtest.h>

#include <cfloat>
#include <limits>
#include <numeric>

#include "kernels/cuda/linear_device.h"

// LLM.int8() and static int8 on the device against their definitions, in integers and double.
namespace assay::kernels::cuda {
namespace {

using cpu::testing::random_values;
using testing::Activation;
using testing::CallOptions;
using testing::DeviceOptions;
using testing::DType;
using testing::Encoding;
using testing::random_weight;
using testing::Values;

class CudaLinearInt8 : public testing::OnDevice {};

void check(const precision::EncodedTensor& weight, const Values& x, const CallOptions& options,
           const DeviceOptions& more = {}) {
  const auto expected =
      cpu::testing::int8_reference(weight, x, options, cpu::testing::kTensorCoreStep);
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_dynamic)) {
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    const auto result = testing::call(*kernel, packed, x, options, more);
    EXPECT_EQ(result.identity, kernel->identity);
    const std::string what =
        fmt::format("{} n={} k={} m={} pad={} outliers={}", kernel->identity.kernel, weight.rows,
                    weight.cols, options.m, more.x_pad, expected.outlier_columns);
    ASSERT_TRUE(result.untouched) << what;
    ASSERT_EQ(result.outlier_columns, expected.outlier_columns) << what;
    testing::expect_near(result.y, expected.y, expected.bound, what);
  }
}

/// One test for each number of outputs: all of them take too long under compute-sanitizer.
class CudaLinearInt8Outputs : public CudaLinearInt8,
                              public ::testing::WithParamInterface<std::int64_t> {};

TEST_P(CudaLinearInt8Outputs, OverRemainders) {
  const std::int64_t n = GetParam();
  auto seed = static_cast<unsigned>(n * 1000);
  for (const std::int64_t k : {1, 2, 3, 15, 16, 33, 65, 96, 257, 512}) {
    const auto weight = random_weight(Encoding::int8, n, k, ++seed);
    for (const std::int64_t m : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100}) {
      check(weight, random_values(m * k, ++seed),
            {.m = m, .threshold = seed % 2 == 0 ? 0.0F : 2.5F},
            {.x_pad = static_cast<std::int64_t>(seed % 3), .fixed_tiles = seed % 5 == 0});
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Of, CudaLinearInt8Outputs, ::testing::Values(1, 2, 17, 31, 64, 65, 129));

TEST_F(CudaLinearInt8, TypesBiasAndManyTiles) {
  for (const std::int64_t n : {50, 128 * 70 + 3}) {
    const auto weight = random_weight(Encoding::int8, n, 200, 7);
    for (const DType x_type : {DType::f32, DType::f16, DType::bf16}) {
      for (const DType y_type : {DType::f32, DType::bf16}) {
        check(weight, random_values(101 * 200, 8, 1.8F),
              {.m = 101,
               .x_type = x_type,
               .y_type = y_type,
               .threshold = 6.0F,
               .bias = random_values(n, 9)});
        if (HasFatalFailure()) return;
        if (n > 50) break;
      }
    }
  }
}

/// None, few, a tile of 64 full, one more, and all of them.
TEST_F(CudaLinearInt8, OutlierColumns) {
  constexpr std::int64_t kDepth = 320;
  const auto weight = random_weight(Encoding::int8, 140, kDepth, 11);
  for (const std::int64_t m : {1, 5, 8, 9, 40, 70}) {
    for (const std::int64_t count : {0, 1, 8, 64, 65, 200, 320}) {
      Values x = random_values(m * kDepth, 12, 0.5F);
      for (std::int64_t i = 0; i < count; ++i) {
        // Scattered columns, each an outlier in one row only; one exactly at the threshold.
        x[(i % m) * kDepth + (i * 7) % kDepth] = i == 0 ? -6.0F : 10.0F + static_cast<float>(i);
      }
      for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
        for (const bool fixed : {false, true}) {
          check(weight, x, {.m = m, .x_type = type, .threshold = 6.0F}, {.fixed_tiles = fixed});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_F(CudaLinearInt8, ACalibratedSetOfColumns) {
  constexpr std::int64_t kDepth = 100;
  const auto weight = random_weight(Encoding::int8, 33, kDepth, 13);
  // With exactly these columns above the threshold both ways must agree.
  for (const std::int64_t m : {1, 12}) {
    Values x = random_values(m * kDepth, 14, 0.5F);
    const std::vector<std::int32_t> columns = {0, 31, 32, 63, 99};
    for (const std::int32_t column : columns) x[(m - 1) * kDepth + column] = 7.5F;
    check(weight, x, {.m = m, .threshold = 6.0F}, {.fixed_outliers = columns});
    // Others stay in the set though nothing is large.
    for (const LinearKernel* kernel : testing::runnable(Activation::int8_dynamic)) {
      const PackedWeight packed = kernel->pack(weight, testing::stream());
      const Values small = random_values(m * kDepth, 15, 0.1F);
      const auto result = testing::call(*kernel, packed, small, {.m = m, .threshold = 6.0F},
                                        {.fixed_outliers = columns});
      EXPECT_EQ(result.outlier_columns, 5);
    }
  }
}

TEST_F(CudaLinearInt8, ThresholdZeroTakesNothingOut) {
  const auto weight = random_weight(Encoding::int8, 33, 64, 21);
  for (const std::int64_t m : {3, 30}) check(weight, random_values(m * 64, 22, 50.0F), {.m = m});
}

/// Codes at both ends in every place. With absmax 127 on both sides codes are values.
TEST_F(CudaLinearInt8, SumsAreExact) {
  constexpr std::int64_t kDepth = 4000, kColumns = 36;
  for (const int pattern : {0, 1, 2}) {
    const auto sign = [&](std::int64_t a, std::int64_t b) {
      return pattern == 0 || (pattern == 1 ? b % 2 == 0 : (a + b * b) % 3 == 0) ? 127.0F : -127.0F;
    };
    Values w(kColumns * kDepth);
    for (std::int64_t c = 0; c < kColumns; ++c) {
      for (std::int64_t i = 0; i < kDepth; ++i) w[c * kDepth + i] = sign(c, i);
    }
    const auto weight = cpu::testing::encode(Encoding::int8, w, kColumns, kDepth);
    for (const std::int64_t m : {1, 7, 20}) {
      Values x(m * kDepth);
      for (std::int64_t r = 0; r < m; ++r) {
        for (std::int64_t i = 0; i < kDepth; ++i) x[r * kDepth + i] = -sign(r, i);
      }
      check(weight, x, {.m = m});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(CudaLinearInt8, ZerosAndTinyRows) {
  Values w = random_values(34 * 40, 31);
  std::fill_n(w.begin() + 40, 40, 0.0F);
  for (const std::int64_t m : {4, 11}) {
    Values x = random_values(m * 40, 32);
    std::fill_n(x.begin(), 40, 0.0F);
    std::fill_n(x.begin() + 40, 40, 1e-40F);  // 127 / absmax is infinite
    std::fill_n(x.begin() + 80, 40, 1e36F);   // 127 / absmax is tiny
    check(cpu::testing::encode(Encoding::int8, w, 34, 40), x, {.m = m});
  }
}

TEST_F(CudaLinearInt8, NotANumberFillsItsRow) {
  const auto weight = random_weight(Encoding::int8, 35, 70, 41);
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_dynamic)) {
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    for (const float value : bad) {
      for (const std::int64_t at : {0, 69}) {
        for (const float threshold : {0.0F, 6.0F}) {
          for (const std::int64_t m : {3, 12}) {
            Values x = random_values(m * 70, 42);
            x[70 + at] = value;
            x[5] = x[145] = 9.0F;  // other outliers, before and after, must be seen all the same
            const auto result = testing::call(*kernel, packed, x, {.m = m, .threshold = threshold});
            for (std::int64_t i = 0; i < m * 35; ++i) {
              ASSERT_EQ(std::isnan(result.y[i]), i / 35 == 1) << kernel->identity.kernel;
            }
            const int expected = threshold == 0.0F ? 0 : std::isnan(value) ? 1 : 2;
            EXPECT_EQ(result.outlier_columns, expected);
          }
        }
      }
    }
  }
}

/// The codes are those of the CPU, which multiplies with 127 / range; what lies beyond is clamped.
/// 3.8 is a range for which 1 / (range / 127) is another number than 127 / range.
TEST_F(CudaLinearInt8, StaticRange) {
  constexpr float kRange = 3.8F;
  static_assert(127.0F / kRange != 1.0F / (kRange / 127.0F));
  unsigned seed = 50;
  for (const std::int64_t k : {15, 64, 257}) {
    const auto weight = random_weight(Encoding::int8, 45, k, ++seed);
    const auto* codes = reinterpret_cast<const std::int8_t*>(weight.codes.bytes.data());
    for (const std::int64_t m : {1, 8, 33}) {
      const Values x = random_values(m * k, ++seed, 2.0F);
      for (const LinearKernel* kernel : testing::runnable(Activation::int8_static)) {
        const PackedWeight packed = kernel->pack(weight, testing::stream());
        const auto result =
            testing::call(*kernel, packed, x, {.m = m}, {.activation_range = kRange});
        ASSERT_TRUE(result.untouched);
        for (std::int64_t i = 0; i < m * 45; ++i) {
          std::int64_t sum = 0;
          for (std::int64_t j = 0; j < k; ++j) {
            const float code = std::nearbyint(x[i / 45 * k + j] * (127.0F / kRange));
            sum += static_cast<std::int64_t>(std::min(std::max(code, -127.0F), 127.0F)) *
                   codes[i % 45 * k + j];
          }
          const double y =
              static_cast<double>(sum) * kRange / 127.0 * weight.scales[i % 45] / 127.0;
          ASSERT_NEAR(result.y[i], y, std::fabs(y) * 0x1p-21) << kernel->identity.kernel;
        }
      }
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cuda
