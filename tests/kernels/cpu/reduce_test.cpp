#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/elementwise.h"
#include "matrix_helpers.h"

namespace assay::kernels::cpu {
namespace {

using tensor::DType;

TEST(LogSumExp, MatchesLongDouble) {
  for_each_isa([] {
    for (const std::int64_t n : {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 1000, 49152}) {
      base::Random random(static_cast<std::uint64_t>(n));
      std::vector<float> x(static_cast<std::size_t>(n));
      for (float& v : x) v = static_cast<float>(random.normal() * 8.0);
      long double sum = 0;
      for (const float v : x) sum += std::exp(static_cast<long double>(v) - 20.0L);
      EXPECT_NEAR(log_sum_exp(x), static_cast<double>(std::log(sum) + 20.0L), 1e-13 * 40) << n;
    }
  });
}

TEST(LogSumExp, ExtremesDoNotOverflowAndNaNIsSeen) {
  for_each_isa([] {
    EXPECT_DOUBLE_EQ(log_sum_exp(std::vector<float>{3e38F, -3e38F}), double{3e38F});
    EXPECT_DOUBLE_EQ(log_sum_exp(std::vector<float>(40, -1e30F)), double{-1e30F} + std::log(40.0));
    EXPECT_EQ(log_sum_exp({}), -std::numeric_limits<double>::infinity());
    EXPECT_EQ(log_sum_exp(std::vector<float>(20, -kInfinity)),
              -std::numeric_limits<double>::infinity());
    for (std::size_t place = 0; place < 37; ++place) {
      std::vector<float> x(37, 1.0F);
      x[place] = -kInfinity;
      EXPECT_NEAR(log_sum_exp(x), 1.0 + std::log(36.0), 1e-14);
      x[place] = kInfinity;
      EXPECT_EQ(log_sum_exp(x), std::numeric_limits<double>::infinity());
      x[place] = kNaN;
      EXPECT_TRUE(std::isnan(log_sum_exp(x)));
    }
  });
}

TEST(ArgMax, FindsTheFirstOfEqualsAtEveryPlace) {
  for_each_isa([] {
    for (const std::size_t n : {1U, 2U, 15U, 16U, 17U, 33U, 100U}) {
      for (std::size_t place = 0; place < n; ++place) {
        std::vector<float> x(n, -5.0F);
        for (std::size_t i = place; i < n; i += 3) x[i] = -1.0F;
        EXPECT_EQ(argmax(x), static_cast<std::int64_t>(place));
      }
    }
    EXPECT_EQ(argmax(std::vector<float>(20, -kInfinity)), 0);
    EXPECT_EQ(argmax({}), -1);
  });
}

TEST(AllFinite, SeesOneBadElementAnywhere) {
  for_each_isa([] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : {1, 16, 37, 1025}) {
        auto x = StridedMatrix::random(type, 2, cols, 1, 100.0);
        EXPECT_TRUE(all_finite(x.view()));
        for (const std::int64_t place : {std::int64_t{0}, cols / 2, cols - 1}) {
          for (const float bad : {kNaN, kInfinity, -kInfinity}) {
            const auto good = x.row(1);
            auto row = good;
            row[static_cast<std::size_t>(place)] = bad;
            x.set_row(1, row);
            EXPECT_FALSE(all_finite(x.view()));
            x.set_row(1, good);
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace assay::kernels::cpu
