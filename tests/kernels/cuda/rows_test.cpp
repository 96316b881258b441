#include <functional>
#include <limits>

#include "base/error.h"
#include "device_testing.h"
#include "kernels/cuda/elementwise.h"

namespace assay::kernels::cuda {
namespace {

using tensor::DType;

class CudaRows : public OnDevice {};

constexpr std::int64_t kWidths[] = {1,    2,    7,    8,    9,    15,   16,   17,   31,
                                    32,   33,   63,   64,   100,  255,  256,  257,  768,
                                    1000, 2047, 2048, 2049, 4096, 8191, 8192, 8193, 16400};
constexpr std::int64_t kPads[] = {0, 3, 8};

/// f(type, columns, padding) for a sweep.
void sweep(const std::function<void(DType, std::int64_t, std::int64_t)>& f) {
  for (const DType type : kFloatTypes) {
    for (const std::int64_t cols : kWidths) {
      for (const std::int64_t pad : kPads) {
        SCOPED_TRACE(fmt::format("{} columns of {}, padding {}", cols, name_of(type), pad));
        f(type, cols, pad);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

/// Longest chain of additions behind a sum over a row: those of a thread and two trees of 32.
double chain(std::int64_t cols) { return 8.0 * std::ceil(static_cast<double>(cols) / 2048) + 10; }

TEST_F(CudaRows, RmsNorm) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    for (const DType out : {type, DType::bf16}) {
      const auto x = TestMatrix::random(type, 3, cols, pad, stream(), 1, 3.0);
      auto y = TestMatrix::poisoned(out, 3, cols, pad, stream());
      const auto before = y.padding();
      const std::vector<float> weight = random_values(cols, 2);
      rms_norm(x.view(), array(weight), 1e-5F, y.view(), stream());
      y.download();
      EXPECT_EQ(y.padding(), before);
      for (std::int64_t r = 0; r < 3; ++r) {
        const auto in = x.row(r);
        double squares = 0;
        for (const float v : in) squares += double{v} * double{v};
        const double factor = 1.0 / std::sqrt(squares / static_cast<double>(cols) + double{1e-5F});
        const auto row = y.row(r);
        for (std::size_t c = 0; c < in.size(); ++c) {
          const double wanted = double{in[c]} * factor * double{weight[c]};
          expect_rounded(row[c], wanted, out, kF32 * (chain(cols) / 2 + 6) * std::abs(wanted));
        }
      }
    }
  });
}

TEST_F(CudaRows, LayerNorm) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    const auto x = TestMatrix::random(type, 3, cols, pad, stream(), 3, 3.0);
    const std::vector<float> weight = random_values(cols, 4);
    const std::vector<float> bias = random_values(cols, 5);
    for (const bool with_bias : {true, false}) {
      auto y = TestMatrix::poisoned(type, 3, cols, pad, stream());
      layer_norm(x.view(), array(weight), with_bias ? array(bias) : nullptr, 1e-5F, y.view(),
                 stream());
      y.download();
      for (std::int64_t r = 0; r < 3; ++r) {
        const auto in = x.row(r);
        const auto n = static_cast<double>(cols);
        double sum = 0, magnitude = 0, squares = 0;
        for (const float v : in) sum += double{v}, magnitude += std::abs(double{v});
        const double mean = sum / n;
        for (const float v : in) squares += (double{v} - mean) * (double{v} - mean);
        const double factor = 1.0 / std::sqrt(squares / n + double{1e-5F});
        const double mean_error = kF32 * (chain(cols) + 2) * magnitude / n;
        // The error of the mean moves the variance by its square and, by rounding, hardly.
        const double factor_error =
            kF32 * (chain(cols) / 2 + 8) + factor * factor * mean_error * mean_error;
        const auto row = y.row(r);
        for (std::size_t c = 0; c < in.size(); ++c) {
          const double scaled = factor * double{weight[c]};
          const double product = (double{in[c]} - mean) * scaled;
          const double wanted = product + (with_bias ? double{bias[c]} : 0.0);
          const double slack = std::abs(scaled) * (mean_error + kF32 * std::abs(in[c] - mean)) +
                               std::abs(product) * factor_error + 2 * kF32 * std::abs(wanted);
          expect_rounded(row[c], wanted, type, slack);
        }
      }
    }
  });
}

struct Function {
  UnaryFunction function;
  double (*value)(double);
  double (*slack)(double x, double wanted);  ///< of f32, relative to its unit roundoff
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double tanh_argument(double x) { return 1.5957691216057308 * (x + 0.044715 * x * x * x); }

const Function kFunctions[] = {
    {UnaryFunction::gelu_erf,
     [](double x) { return 0.5 * x * (1.0 + std::erf(x * std::sqrt(0.5))); },
     [](double x, double) { return 6.0 * std::abs(x); }},
    {UnaryFunction::gelu_tanh, [](double x) { return x * sigmoid(tanh_argument(x)); },
     [](double x, double wanted) {
       return (10.0 + 6.0 * std::abs(tanh_argument(x))) * std::abs(wanted);
     }},
    {UnaryFunction::relu, [](double x) { return x < 0 ? 0.0 : x; },
     [](double, double) { return 0.0; }},
    {UnaryFunction::silu, [](double x) { return x * sigmoid(x); },
     [](double, double wanted) { return 10.0 * std::abs(wanted); }},
    {UnaryFunction::tanh, [](double x) { return std::tanh(x); },
     [](double, double wanted) { return 4.0 * std::abs(wanted); }},
};

TEST_F(CudaRows, FunctionsOfOneElement) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    for (const Function& f : kFunctions) {
      auto x = TestMatrix::random(type, 2, cols, pad, stream(), 6, 3.0);
      const auto before = x.padding();
      const std::vector<float> in[] = {x.row(0), x.row(1)};
      apply(f.function, x.view(), stream());
      x.download();
      EXPECT_EQ(x.padding(), before);
      for (const std::int64_t r : {0, 1}) {
        const auto row = x.row(r);
        for (std::size_t c = 0; c < in[r].size(); ++c) {
          const double v = in[r][c];
          const double wanted = f.value(v);
          expect_rounded(row[c], wanted, type, kF32 * f.slack(v, wanted) + 0x1p-125);
        }
      }
    }
  });
}

TEST_F(CudaRows, FunctionsKeepWhatIsNoNumber) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> in = {NAN, inf, -inf, 0.0F, -0.0F, 1e30F, -1e30F, 300.0F};
  for (const Function& f : kFunctions) {
    TestMatrix x(DType::f32, 1, 8, 0, stream());
    x.set_row(0, in);
    x.upload();
    apply(f.function, x.view(), stream());
    x.download();
    const auto out = x.row(0);
    EXPECT_TRUE(std::isnan(out[0]));
    const bool bounded = f.function == UnaryFunction::tanh;
    EXPECT_EQ(out[1], bounded ? 1.0F : inf);
    EXPECT_EQ(out[3], 0.0F);
    EXPECT_EQ(out[7], bounded ? 1.0F : 300.0F);
  }
}

TEST_F(CudaRows, GatedProduct) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    for (const Function& f : kFunctions) {
      auto gate = TestMatrix::random(type, 2, cols, pad, stream(), 7, 2.0);
      const auto up = TestMatrix::random(type, 2, cols, 3, stream(), 8);
      const std::vector<float> in[] = {gate.row(0), gate.row(1)};
      gated_product(f.function, gate.view(), up.view(), stream());
      gate.download();
      for (const std::int64_t r : {0, 1}) {
        const auto u = up.row(r);
        const auto row = gate.row(r);
        for (std::size_t c = 0; c < u.size(); ++c) {
          const double value = f.value(in[r][c]);
          const double first = kF32 * f.slack(in[r][c], value) + smallest_error(type) +
                               (type == DType::f32 ? 0.0 : unit_roundoff(type) * std::abs(value));
          expect_rounded(row[c], value * double{u[c]}, type,
                         (first + kF32 * std::abs(value)) * std::abs(double{u[c]}));
        }
      }
    }
  });
}

TEST_F(CudaRows, ClampedSwiglu) {
  constexpr float kAlpha = 1.702F;
  constexpr float kLimit = 1.5F;
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    auto gate = TestMatrix::random(type, 2, cols, pad, stream(), 9, 2.0);
    const auto up = TestMatrix::random(type, 2, cols, pad, stream(), 10, 2.0);
    const std::vector<float> in[] = {gate.row(0), gate.row(1)};
    clamped_swiglu(kAlpha, kLimit, gate.view(), up.view(), stream());
    gate.download();
    for (const std::int64_t r : {0, 1}) {
      const auto u = up.row(r);
      const auto row = gate.row(r);
      for (std::size_t c = 0; c < u.size(); ++c) {
        const double g = std::min(double{in[r][c]}, double{kLimit});
        const double bounded = std::clamp(double{u[c]}, double{-kLimit}, double{kLimit});
        const double glu = g * sigmoid(g * double{kAlpha});
        const double wanted = (bounded + 1.0) * glu;
        expect_rounded(
            row[c], wanted, type,
            kF32 * (10 + 4 * std::abs(g)) * std::abs(wanted) + kF32 * std::abs(glu) + 0x1p-125);
      }
    }
  });
}

TEST_F(CudaRows, SumsProductsAndConversionsAreRoundedOnce) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    for (const DType other : kFloatTypes) {
      auto x = TestMatrix::random(type, 3, cols, pad, stream(), 11);
      const auto y = TestMatrix::random(other, 3, cols, pad, stream(), 12);
      const auto a = x.row(2);
      const auto b = y.row(2);
      const auto before = x.padding();
      add_in_place(x.view(), y.view(), stream());
      auto converted = TestMatrix::poisoned(other, 3, cols, 3, stream());
      convert(x.view(), converted.view(), stream());
      scale(x.view(), 0.3F, stream());
      x.download();
      converted.download();
      EXPECT_EQ(x.padding(), before);
      const auto of_other = converted.row(2);
      const auto scaled = x.row(2);
      for (std::size_t c = 0; c < a.size(); ++c) {
        const float sum = rounded_to(type, a[c] + b[c]);
        EXPECT_EQ(of_other[c], rounded_to(other, sum));
        EXPECT_EQ(scaled[c], rounded_to(type, sum * 0.3F));
      }
    }
  });
}

TEST_F(CudaRows, SoftCap) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    auto x = TestMatrix::random(type, 2, cols, pad, stream(), 13, 40.0);
    const auto in = x.row(1);
    soft_cap(x.view(), 30.0F, stream());
    x.download();
    const auto out = x.row(1);
    for (std::size_t c = 0; c < in.size(); ++c) {
      const double wanted = 30.0 * std::tanh(double{in[c]} / 30.0);
      expect_rounded(out[c], wanted, type, kF32 * 6 * std::abs(wanted));
    }
  });
}

TEST_F(CudaRows, AddScaledRowsRoundsAsTheCpuDoes) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    const auto x = TestMatrix::random(type, 3, cols, pad, stream(), 14);
    auto sums = TestMatrix::random(DType::f32, 5, cols, pad, stream(), 15);
    const std::vector<float> factors = {0.1F, -2.7F, 1.0F};
    const std::vector<std::int32_t> index = {4, 0, 3};
    const std::vector<float> before[] = {sums.row(0), sums.row(1), sums.row(2), sums.row(3),
                                         sums.row(4)};
    add_scaled_rows(x.view(), array(index), array(factors), sums.view(), stream());
    sums.download();
    EXPECT_EQ(sums.row(1), before[1]);
    EXPECT_EQ(sums.row(2), before[2]);
    for (std::size_t r = 0; r < 3; ++r) {
      const auto in = x.row(static_cast<std::int64_t>(r));
      const auto out = sums.row(index[r]);
      for (std::size_t c = 0; c < in.size(); ++c) {
        const float product = in[c] * factors[r];
        EXPECT_EQ(out[c], before[index[r]][c] + product);
      }
    }
  });
}

TEST_F(CudaRows, GatheredRowsAreCopies) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    const auto x = TestMatrix::random(type, 9, cols, pad, stream(), 16);
    auto y = TestMatrix::poisoned(type, 5, cols, pad, stream());
    const auto before = y.padding();
    const std::vector<std::int32_t> index = {8, 0, 0, 3, 7};
    gather_rows(x.view(), array(index), y.view(), stream());
    y.download();
    EXPECT_EQ(y.padding(), before);
    for (std::size_t r = 0; r < 5; ++r)
      EXPECT_EQ(y.row(static_cast<std::int64_t>(r)), x.row(index[r]));
  });
}

TEST_F(CudaRows, ManyRows) {  // more than a grid has in its second dimension
  constexpr std::int64_t kRows = 65535 + 5;
  TestMatrix x(DType::bf16, kRows, 1025, 0, stream());
  const std::vector<float> last(1025, 3.0F);
  x.set_row(kRows - 1, last);
  x.upload();
  scale(x.view(), 2.0F, stream());
  x.download();
  EXPECT_EQ(x.row(kRows - 1), std::vector<float>(1025, 6.0F));
}

TEST_F(CudaRows, Rope) {
  for (const DType type : kFloatTypes) {
    for (const std::int64_t head_dim : {2, 6, 16, 64, 80, 128, 256}) {
      for (const std::int64_t rotated : {head_dim, head_dim / 2}) {
        const std::int64_t count = rotated / 2;
        if (count == 0) continue;
        std::vector<float> frequencies;
        for (std::int64_t i = 0; i < count; ++i) {
          frequencies.push_back(static_cast<float>(
              std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(rotated))));
        }
        auto x = TestMatrix::random(type, 4, 3 * head_dim, 3, stream(), 18);
        const auto before = x.padding();
        const std::vector<std::int32_t> positions = {0, 1, 77, 131071};
        std::vector<std::vector<float>> in;
        for (std::int64_t r = 0; r < 4; ++r) in.push_back(x.row(r));
        rope(x.view(), array(positions), array(frequencies), static_cast<int>(count), head_dim,
             1.25F, stream());
        x.download();
        EXPECT_EQ(x.padding(), before);
        for (std::size_t r = 0; r < 4; ++r) {
          const auto out = x.row(static_cast<std::int64_t>(r));
          for (std::size_t c = 0; c < out.size(); ++c) {
            const auto within = static_cast<std::int64_t>(c) % head_dim;
            if (within >= 2 * count) {
              EXPECT_EQ(out[c], in[r][c]);
              continue;
            }
            const bool low = within < count;
            const auto pair = static_cast<std::size_t>(low ? within : within - count);
            const float angle = static_cast<float>(positions[r]) * frequencies[pair];
            const double cosine = 1.25 * std::cos(double{angle});
            const double sine = 1.25 * std::sin(double{angle});
            const double a = in[r][c];
            const double b = in[r][low ? c + static_cast<std::size_t>(count)
                                       : c - static_cast<std::size_t>(count)];
            const double wanted = low ? a * cosine - b * sine : a * cosine + b * sine;
            expect_rounded(out[c], wanted, type, kF32 * 8 * (std::abs(a) + std::abs(b)));
          }
        }
      }
    }
  }
}

TEST_F(CudaRows, TheCacheTakesRowsAtTheirPositions) {
  for (const DType type : kFloatTypes) {
    for (const DType kept : kFloatTypes) {
      for (const std::int64_t width : {5, 8, 64, 1024, 1031}) {
        // Three slots of 10 positions; two sequences of 2 and 3 new rows, and a row of none.
        const auto k = TestMatrix::random(type, 6, width, 0, stream(), 19);
        const auto v = TestMatrix::random(type, 6, width, 3, stream(), 20);
        auto keys = TestMatrix::poisoned(kept, 30, width, 8, stream());
        auto values = TestMatrix::poisoned(kept, 30, width, 8, stream());
        const std::int64_t stride = width + 8;
        const std::vector<DeviceSequence> sequences = {{0, 2, 7, 2}, {2, 3, 3, 0}};
        const std::vector<std::int32_t> owner = {0, 0, 1, 1, 1, -1};
        const CacheView cache{keys.view().data, values.view().data, kept, 10 * stride, stride};
        append_to_cache(k.view(), v.view(), array(sequences), array(owner), cache, stream());
        keys.download();
        values.download();
        const std::int64_t place[] = {25, 26, 0, 1, 2};
        std::vector<bool> written(30, false);
        for (std::int64_t r = 0; r < 5; ++r) {
          written[static_cast<std::size_t>(place[r])] = true;
          const auto key = keys.row(place[r]), value = values.row(place[r]);
          const auto new_key = k.row(r), new_value = v.row(r);
          for (std::size_t c = 0; c < key.size(); ++c) {
            EXPECT_EQ(key[c], rounded_to(kept, new_key[c]));
            EXPECT_EQ(value[c], rounded_to(kept, new_value[c]));
          }
        }
        for (std::size_t p = 0; p < 30; ++p)
          EXPECT_NE(written[p], std::isnan(keys.row(static_cast<std::int64_t>(p))[0])) << p;
      }
    }
  }
}

TEST_F(CudaRows, NotANumberIsNoted) {
  std::int32_t* flag = array(std::vector<std::int32_t>{0});
  const auto noted = [&] { return read(flag, 1)[0] != 0; };
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    auto x = TestMatrix::random(type, 3, cols, pad, stream(), 21);
    stream().fill_bytes(flag, 0, 4);
    note_non_finite(x.view(), flag, stream());
    EXPECT_FALSE(noted());
    const auto good = x.row(1);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      auto row = good;
      row[static_cast<std::size_t>(cols) / 2] = bad;
      x.set_row(1, row);
      x.upload();
      stream().fill_bytes(flag, 0, 4);
      note_non_finite(x.view(), flag, stream());
      EXPECT_TRUE(noted());
    }
  });
  // Beside the view anything may stand.
  auto x = TestMatrix::poisoned(DType::f32, 4, 5, 3, stream());
  for (std::int64_t r = 0; r < 4; ++r) x.set_row(r, std::vector<float>(5, 1.0F));
  x.upload();
  stream().fill_bytes(flag, 0, 4);
  note_non_finite(x.view(), flag, stream());
  EXPECT_FALSE(noted());
}

TEST_F(CudaRows, StatisticsOfRows) {
  sweep([&](DType type, std::int64_t cols, std::int64_t pad) {
    auto x = TestMatrix::random(type, 4, cols, pad, stream(), 22, 8.0);
    auto twice = x.row(1);  // the first of equals
    twice[static_cast<std::size_t>(cols) / 3] = twice.back() = 100.0F;
    x.set_row(1, twice);
    x.set_row(2, std::vector<float>(static_cast<std::size_t>(cols), -INFINITY));
    auto broken = x.row(3);
    broken[static_cast<std::size_t>(cols) / 2] = NAN;
    x.set_row(3, broken);
    x.upload();
    std::int32_t* largest = array(std::vector<std::int32_t>(4, -7));
    double* sums = array(std::vector<double>(4, -7.0));
    row_statistics(x.view(), largest, sums, stream());
    const auto found = read(largest, 4);
    const auto sum = read(sums, 4);
    for (std::int64_t r = 0; r < 2; ++r) {
      const auto row = x.row(r);
      const auto best = std::max_element(row.begin(), row.end());
      EXPECT_EQ(found[static_cast<std::size_t>(r)], best - row.begin());
      double total = 0;
      for (const float v : row) total += std::exp(double{v} - double{*best});
      EXPECT_NEAR(sum[static_cast<std::size_t>(r)], double{*best} + std::log(total), 1e-13 * 100);
    }
    EXPECT_EQ(found[2], 0);
    EXPECT_EQ(sum[2], -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isnan(sum[3]));
    row_statistics(x.view(), nullptr, nullptr, stream());
    stream().synchronize();
  });
}

TEST_F(CudaRows, PickedElements) {
  for (const DType type : kFloatTypes) {
    const auto x = TestMatrix::random(type, 7, 1000, 3, stream(), 23);
    std::vector<std::int32_t> rows, columns;
    for (std::int32_t i = 0; i < 300; ++i) {
      rows.push_back(i * 5 % 7);
      columns.push_back(i * 331 % 1000);
    }
    float* values = array(std::vector<float>(301, -7.0F));
    gather_elements(x.view(), array(rows), array(columns), 300, values, stream());
    const auto out = read(values, 301);
    for (std::size_t i = 0; i < 300; ++i)
      EXPECT_EQ(out[i], x.row(rows[i])[static_cast<std::size_t>(columns[i])]);
    EXPECT_EQ(out[300], -7.0F);
  }
}

TEST_F(CudaRows, MeansOfSequences) {
  const std::vector<DeviceSequence> sequences = {{3, 5, 5, 0}, {0, 1, 1, 0}, {8, 100, 100, 0}};
  for (const DType type : kFloatTypes) {
    for (const std::int64_t cols : {1, 7, 384, 1023, 1025, 4096}) {
      const auto x = TestMatrix::random(type, 110, cols, 3, stream(), 24);
      for (const bool normalize : {false, true}) {
        auto y = TestMatrix::poisoned(DType::f32, 3, cols, 3, stream());
        mean_rows(x.view(), array(sequences), 3, normalize, y.view(), stream());
        y.download();
        for (std::size_t s = 0; s < 3; ++s) {
          std::vector<double> mean(static_cast<std::size_t>(cols));
          for (std::int32_t r = 0; r < sequences[s].query_count; ++r) {
            const auto row = x.row(sequences[s].query_begin + r);
            for (std::size_t c = 0; c < mean.size(); ++c) mean[c] += double{row[c]};
          }
          double squares = 0;
          for (double& m : mean) {
            m /= sequences[s].query_count;
            squares += m * m;
          }
          const double factor = normalize ? 1.0 / std::sqrt(squares) : 1.0;
          const auto out = y.row(static_cast<std::int64_t>(s));
          for (std::size_t c = 0; c < mean.size(); ++c)
            expect_rounded(out[c], mean[c] * factor, DType::f32, 0x1p-45);
        }
      }
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cuda
