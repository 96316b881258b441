#include "kernels/cpu/elementwise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "matrix_helpers.h"

namespace assay::kernels::cpu {
namespace {

using tensor::DType;

// Every remainder of the widest vector, and both sides of the 1024-value chunk.
std::vector<std::int64_t> widths() {
  std::vector<std::int64_t> all(33);
  std::iota(all.begin(), all.end(), 1);
  for (const std::int64_t more : {64, 100, 576, 1023, 1024, 1025, 2051}) all.push_back(more);
  return all;
}

std::vector<float> random_floats(std::int64_t count, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(1.0 + 0.3 * random.normal());
  return values;
}

double mean_of(const std::vector<float>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

double variance_of(const std::vector<float>& x, double center) {
  double sum = 0;
  for (const float v : x) sum += (v - center) * (v - center);
  return sum / static_cast<double>(x.size());
}

TEST(RmsNorm, MatchesDoubleForEveryWidthAndType) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        const auto x = StridedMatrix::random(type, 3, cols, 1);
        const auto weight = random_floats(cols, 2);
        StridedMatrix y(type, 3, cols);
        rms_norm(x.view(), weight, 1e-5F, y.view(), pool);
        for (std::int64_t r = 0; r < 3; ++r) {
          const auto in = x.row(r);
          const auto out = y.row(r);
          const double factor = 1.0 / std::sqrt(variance_of(in, 0.0) + double{1e-5F});
          for (std::size_t i = 0; i < in.size(); ++i) {
            const double wanted = in[i] * factor * weight[i];
            // Three roundings in f32, and the sum of squares: far fewer than 32 steps in a chain.
            expect_rounded(out[i], wanted, type, 16 * kEps * std::abs(wanted));
          }
        }
      }
    }
  });
}

TEST(LayerNorm, MatchesDoubleForEveryWidthAndType) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        const auto x = StridedMatrix::random(type, 3, cols, 3);
        const auto weight = random_floats(cols, 4);
        const auto bias = random_floats(cols, 5);
        StridedMatrix y(type, 3, cols);
        layer_norm(x.view(), weight, bias, 1e-5F, y.view(), pool);
        for (std::int64_t r = 0; r < 3; ++r) {
          const auto in = x.row(r);
          const auto out = y.row(r);
          const double center = mean_of(in);
          const double factor = 1.0 / std::sqrt(variance_of(in, center) + double{1e-5F});
          for (std::size_t i = 0; i < in.size(); ++i) {
            const double product = (in[i] - center) * factor * weight[i];
            const double slack =
                16 * kEps * (std::abs(product) + std::abs(center * factor * weight[i]));
            expect_rounded(out[i], product + bias[i], type, slack);
          }
        }
      }
    }
  });
}

TEST(LayerNorm, LargeMeanDoesNotCancel) {
  base::ThreadPool pool(1);
  for_each_isa([&] {
    StridedMatrix x(DType::f32, 1, 300);
    std::vector<float> row(300);
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = 1000.0F + static_cast<float>(i % 7);
    x.set_row(0, row);
    StridedMatrix y(DType::f32, 1, 300);
    layer_norm(x.view(), std::vector<float>(300, 1.0F), {}, 0.0F, y.view(), pool);
    const double center = mean_of(row);
    const double deviation = std::sqrt(variance_of(row, center));
    for (std::size_t i = 0; i < row.size(); ++i) {
      EXPECT_NEAR(y.row(0)[i], (row[i] - center) / deviation, 1e-4);
    }
  });
}

TEST(Norms, OutputMayHaveAnotherTypeAndNothingBesideTheViewChanges) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    const auto x = StridedMatrix::random(DType::bf16, 4, 37, 1);
    auto wide = StridedMatrix::random(DType::f32, 4, 37, 2);
    const auto beside = wide.padding();
    const auto weight = random_floats(37, 3);
    rms_norm(x.view(), weight, 1e-6F, wide.view(), pool);
    EXPECT_EQ(wide.padding(), beside);
    const double factor = 1.0 / std::sqrt(variance_of(x.row(3), 0.0) + 1e-6);
    expect_rounded(wide.row(3)[36], x.row(3)[36] * factor * weight[36], DType::f32, 1e-6);
  });
}

TEST(Norms, ANaNStaysInItsRow) {
  base::ThreadPool pool(1);
  for_each_isa([&] {
    auto x = StridedMatrix::random(DType::f32, 2, 40, 1);
    auto bad = x.row(0);
    bad[39] = kNaN;
    x.set_row(0, bad);
    StridedMatrix y(DType::f32, 2, 40);
    rms_norm(x.view(), random_floats(40, 1), 1e-6F, y.view(), pool);
    EXPECT_TRUE(std::isnan(y.row(0)[0]));
    EXPECT_TRUE(std::isfinite(y.row(1)[39]));
  });
}

TEST(Add, RoundsTheSumOnce) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        auto x = StridedMatrix::random(type, 2, cols, 1);
        const auto before = x.copy();
        const auto beside = x.padding();
        const auto y = StridedMatrix::random(type, 2, cols, 2);
        add_in_place(x.view(), y.view(), pool);
        EXPECT_EQ(x.padding(), beside);
        for (std::int64_t r = 0; r < 2; ++r) {
          std::vector<float> wanted = before.row(r);
          for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] += y.row(r)[i];
          StridedMatrix rounded(type, 1, cols);
          rounded.set_row(0, wanted);
          ASSERT_EQ(x.row(r), rounded.row(0));
        }
      }
    }
  });
}

/// x += 0 over all 65,536 patterns of a 16-bit type: widening and narrowing are exact inverses.
template <typename T>
void expect_all_patterns_survive(DType type) {
  base::ThreadPool pool(1);
  tensor::Matrix x(type, 1, 65536);
  const tensor::Matrix zero(type, 1, 65536, true);
  auto* values = x.view().row<T>(0);
  for (std::uint32_t i = 0; i < 65536; ++i) values[i].bits = static_cast<std::uint16_t>(i);
  add_in_place(x.view(), zero.view(), pool);
  for (std::uint32_t i = 0; i < 65536; ++i) {
    T original;
    original.bits = static_cast<std::uint16_t>(i);
    const float wanted = tensor::to_float(original) + 0.0F;
    if (std::isnan(wanted)) {
      ASSERT_TRUE(std::isnan(tensor::to_float(values[i]))) << i;
    } else {
      ASSERT_EQ(values[i].bits, T(wanted).bits) << i;
    }
  }
}

TEST(Conversion, EveryPatternOfBothHalfTypesSurvives) {
  for_each_isa([] {
    expect_all_patterns_survive<tensor::Float16>(DType::f16);
    expect_all_patterns_survive<tensor::BFloat16>(DType::bf16);
  });
}

/// 0 + y with y in f32: the rounding of any f32 must be that of the reference type.
template <typename T>
void expect_rounding_of_f32(DType type) {
  base::ThreadPool pool(1);
  constexpr std::int64_t kCount = 200000;
  tensor::Matrix x(type, 1, kCount, true);
  tensor::Matrix y(DType::f32, 1, kCount);
  base::Random random(11);
  auto* in = y.view().row<float>(0);
  for (std::int64_t i = 0; i < kCount; ++i) {
    auto bits = static_cast<std::uint32_t>(random.next());
    if (i % 4 == 1) bits = (bits & 0xffff0000U) | 0x8000U;      // ties of bf16
    if (i % 4 == 2) bits = (bits & 0xffffe000U) | 0x1000U;      // ties of f16
    if (i % 4 == 3) bits = (bits & 0x8fffffffU) | 0x30000000U;  // the range of f16
    in[i] = std::bit_cast<float>(bits);
  }
  add_in_place(x.view(), y.view(), pool);
  for (std::int64_t i = 0; i < kCount; ++i) {
    const T got = x.view().row<T>(0)[i];
    const T wanted(in[i] + 0.0F);
    if (std::isnan(in[i])) {
      ASSERT_TRUE(std::isnan(tensor::to_float(got))) << in[i];
    } else {
      ASSERT_EQ(got.bits, wanted.bits) << in[i];
    }
  }
}

TEST(Conversion, NarrowingRoundsToNearestEven) {
  for_each_isa([] {
    expect_rounding_of_f32<tensor::Float16>(DType::f16);
    expect_rounding_of_f32<tensor::BFloat16>(DType::bf16);
  });
}

struct Function {
  UnaryFunction function;
  double (*reference)(double);
  double absolute;  ///< allowed error per unit of |x| (gelu, silu) or in all (tanh), in f32
  double relative;
};

const Function kFunctions[] = {
    {UnaryFunction::gelu_erf, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); },
     0.8e-7, 2 * kEps},
    {UnaryFunction::gelu_tanh,
     [](double x) {
       return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
     },
     1.2e-7, 2 * kEps},
    {UnaryFunction::relu, [](double x) { return std::max(x, 0.0); }, 0, 0},
    {UnaryFunction::silu, [](double x) { return x / (1 + std::exp(-x)); }, 0, 6 * kEps},
    {UnaryFunction::tanh, [](double x) { return std::tanh(x); }, 0, 6 * kEps},
};

TEST(Apply, MatchesDoubleOverTheRange) {
  base::ThreadPool pool(2);
  constexpr std::int64_t kCount = 40001;
  for_each_isa([&] {
    for (const Function& f : kFunctions) {
      SCOPED_TRACE(static_cast<int>(f.function));
      StridedMatrix x(DType::f32, 2, kCount);
      std::vector<float> values(kCount);
      for (std::int64_t i = 0; i < kCount; ++i) {
        values[static_cast<std::size_t>(i)] = static_cast<float>(i - 20000) * 0.0021F;  // +-42
      }
      x.set_row(0, values);
      for (float& v : values) v *= 1e-4F;
      x.set_row(1, values);
      const auto before = x.copy();
      apply(f.function, x.view(), pool);
      for (std::int64_t r = 0; r < 2; ++r) {
        const auto in = before.row(r);
        const auto out = x.row(r);
        for (std::size_t i = 0; i < in.size(); ++i) {
          const double wanted = f.reference(in[i]);
          const double allowed = f.absolute * std::abs(in[i]) + f.relative * std::abs(wanted);
          ASSERT_LE(std::abs(out[i] - wanted), allowed + 1e-36) << in[i];
        }
      }
    }
  });
}

TEST(Apply, RoundsOnceToTheTypeForEveryWidth) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const Function& f : kFunctions) {
      for (const DType type : kFloatTypes) {
        for (const std::int64_t cols : widths()) {
          auto x = StridedMatrix::random(type, 2, cols, 9, 2.0);
          const auto before = x.copy();
          const auto beside = x.padding();
          apply(f.function, x.view(), pool);
          EXPECT_EQ(x.padding(), beside);
          for (std::size_t i = 0; i < static_cast<std::size_t>(cols); ++i) {
            const double in = before.row(1)[i];
            const double wanted = f.reference(in);
            const double slack = f.absolute * std::abs(in) + f.relative * std::abs(wanted);
            expect_rounded(x.row(1)[i], wanted, type, slack);
          }
        }
      }
    }
  });
}

TEST(Apply, ExtremesAndNaN) {
  base::ThreadPool pool(1);
  for_each_isa([&] {
    for (const Function& f : kFunctions) {
      SCOPED_TRACE(static_cast<int>(f.function));
      StridedMatrix x(DType::f32, 1, 6);
      x.set_row(0, {0.0F, 3e38F, -3e38F, kNaN, 100.0F, -100.0F});
      apply(f.function, x.view(), pool);
      const auto y = x.row(0);
      EXPECT_EQ(y[0], 0.0F);
      EXPECT_EQ(y[1], f.function == UnaryFunction::tanh ? 1.0F : 3e38F);
      EXPECT_NEAR(y[2], f.function == UnaryFunction::tanh ? -1.0F : 0.0F, 2.0F);
      EXPECT_TRUE(std::isnan(y[3]));
      EXPECT_EQ(y[4], f.function == UnaryFunction::tanh ? 1.0F : 100.0F);
      EXPECT_NEAR(y[5], f.function == UnaryFunction::tanh ? -1.0F : 0.0F, 1e-30);
    }
  });
}

TEST(GatedProduct, RoundsTheGateFirst) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        auto gate = StridedMatrix::random(type, 2, cols, 1, 2.0);
        const auto up = StridedMatrix::random(type, 2, cols, 2);
        auto wanted = gate.copy();
        apply(UnaryFunction::silu, wanted.view(), pool);
        gated_product(UnaryFunction::silu, gate.view(), up.view(), pool);
        for (std::int64_t r = 0; r < 2; ++r) {
          auto product = wanted.row(r);
          for (std::size_t i = 0; i < product.size(); ++i) product[i] *= up.row(r)[i];
          wanted.set_row(r, product);
        }
        ASSERT_TRUE(gate.same_bits(wanted));
      }
    }
  });
}

TEST(Scale, AndSoftCapMatchDouble) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        const auto x = StridedMatrix::random(type, 2, cols, 3, 4.0);
        auto scaled = x.copy();
        auto capped = x.copy();
        scale(scaled.view(), 1.7F, pool);
        soft_cap(capped.view(), 2.5F, pool);
        for (std::int64_t r = 0; r < 2; ++r) {
          for (std::size_t i = 0; i < static_cast<std::size_t>(cols); ++i) {
            const double value = double{x.row(r)[i]};
            expect_rounded(scaled.row(r)[i], value * double{1.7F}, type, 0x1p-24 * std::abs(value));
            expect_rounded(capped.row(r)[i], 2.5 * std::tanh(value / 2.5), type, 0x1p-20);
          }
        }
      }
    }
  });
}

TEST(ClampedSwiglu, MatchesDoubleOnBothSidesOfTheLimits) {
  base::ThreadPool pool(2);
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        const auto gate = StridedMatrix::random(type, 2, cols, 5, 3.0);
        const auto up = StridedMatrix::random(type, 2, cols, 6, 3.0);
        auto result = gate.copy();
        clamped_swiglu(1.702F, 2.0F, result.view(), up.view(), pool);
        for (std::int64_t r = 0; r < 2; ++r) {
          for (std::size_t i = 0; i < static_cast<std::size_t>(cols); ++i) {
            const double g = std::min(double{gate.row(r)[i]}, 2.0);
            const double u = std::clamp(double{up.row(r)[i]}, -2.0, 2.0);
            const double wanted = (u + 1.0) * g / (1.0 + std::exp(-double{1.702F} * g));
            expect_rounded(result.row(r)[i], wanted, type, 0x1p-20 * (1.0 + std::abs(wanted)));
          }
        }
      }
    }
  });
}

TEST(AddScaledRows, AddsToTheRowsAskedForAndNoOthers) {
  base::ThreadPool pool(2);
  const std::vector<std::int32_t> index = {4, 0, 3};
  const std::vector<float> factors = {0.5F, -2.0F, 0.3F};
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t cols : widths()) {
        const auto x = StridedMatrix::random(type, 3, cols, 7);
        const auto before = StridedMatrix::random(DType::f32, 5, cols, 8);
        auto sums = before.copy();
        add_scaled_rows(x.view(), index, factors, sums.view(), pool);
        for (std::int64_t r = 0; r < 5; ++r) {
          auto wanted = before.row(r);
          for (std::size_t j = 0; j < index.size(); ++j) {
            if (index[j] != r) continue;
            const auto row = x.row(static_cast<std::int64_t>(j));
            for (std::size_t i = 0; i < wanted.size(); ++i) {
              const float part = factors[j] * row[i];
              wanted[i] += part;
            }
          }
          EXPECT_EQ(sums.row(r), wanted) << r;
        }
      }
    }
  });
}

TEST(Threads, DoNotChangeABit) {
  base::ThreadPool one(1);
  base::ThreadPool three(3);
  for_each_isa([&] {
    const auto x = StridedMatrix::random(DType::f32, 7, 777, 1);
    const auto weight = random_floats(777, 2);
    StridedMatrix a(DType::f32, 7, 777);
    StridedMatrix b(DType::f32, 7, 777);
    layer_norm(x.view(), weight, weight, 1e-5F, a.view(), one);
    layer_norm(x.view(), weight, weight, 1e-5F, b.view(), three);
    EXPECT_TRUE(a.same_bits(b));
    apply(UnaryFunction::gelu_erf, a.view(), one);
    apply(UnaryFunction::gelu_erf, b.view(), three);
    EXPECT_TRUE(a.same_bits(b));
  });
}

TEST(GatherRows, CopiesRowsInTheOrderAsked) {
  const auto x = StridedMatrix::random(DType::bf16, 5, 9, 1);
  StridedMatrix y(DType::bf16, 3, 9);
  gather_rows(x.view(), std::vector<std::int32_t>{4, 0, 4}, y.view());
  EXPECT_EQ(y.row(0), x.row(4));
  EXPECT_EQ(y.row(1), x.row(0));
  EXPECT_EQ(y.row(2), x.row(4));
}

}  // namespace
}  // namespace assay::kernels::cpu
