// Tokens drawn on a device: those of the CPU, every one of them.
#include <algorithm>
#include <functional>
#include <limits>

#include "device_testing.h"
#include "kernels/cuda/elementwise.h"

namespace assay::kernels::cuda {
namespace {

using tensor::DType;
using Values = std::vector<float>;

constexpr double kBelowOne = 1.0 - 0x1p-53;
constexpr std::int64_t kVocabularies[] = {
    1, 2, 7, 8, 9, 31, 32, 33, 255, 256, 257, 263, 1000, 8192, 8193, 8200, 49152, 50257, 151936};

std::string text_of(const Draw& draw) {
  return fmt::format("u {}, temperature {}, top_k {}, top_p {}", draw.uniform, draw.temperature,
                     draw.top_k, draw.top_p);
}

/// Every mix of what may be asked for, in a random order.
std::vector<Draw> all_draws(std::int64_t cols) {
  base::Random random(static_cast<std::uint64_t>(cols));
  const auto n = static_cast<std::int32_t>(cols);
  const float tiny = std::numeric_limits<float>::denorm_min();
  std::vector<Draw> draws;
  for (const float temperature : {1.0F, 0.7F, 3.0F, 0.0F, tiny, 1e-6F, 0.05F, 1e6F, 3e38F}) {
    for (const std::int32_t top_k : {0, 1, 2, 5, 40, n / 2, n - 1, n, n + 1, 1 << 30}) {
      for (const float top_p : {1.0F, 0.999999F, 0.9F, 0.5F, 1e-6F, 0.0F}) {
        for (const double u : {0.0, random.uniform(), random.uniform(), kBelowOne})
          draws.push_back({u, temperature, top_p, std::max(top_k, 0)});
      }
    }
  }
  for (std::size_t i = draws.size() - 1; i > 0; --i)
    std::swap(draws[i], draws[random.below(i + 1)]);
  return draws;
}

/// So many that the CPU needs seconds for the largest vocabulary.
std::vector<Draw> some_draws(std::int64_t cols) {
  std::vector<Draw> draws = all_draws(cols);
  const std::int64_t most = std::max<std::int64_t>(40, 2'000'000 / cols);
  if (std::ssize(draws) > most) draws.resize(static_cast<std::size_t>(most));
  return draws;
}

struct Kind {
  const char* name;
  std::function<void(Values&, base::Random&)> make;
};
const std::vector<Kind>& kinds() {
  const auto each = [](auto f) {
    return [f](Values& row, base::Random& random) {
      for (float& v : row) v = static_cast<float>(f(random));
    };
  };
  static const std::vector<Kind> all = {
      {"normal", each([](base::Random& r) { return 4 * r.normal(); })},
      {"all equal", each([](base::Random&) { return -3.25; })},
      {"few values", each([](base::Random& r) { return std::round(r.normal()); })},
      {"two values", each([](base::Random& r) { return r.below(2) == 0 ? 1.0 : 1.5; })},
      {"zeros of both signs", each([](base::Random& r) { return r.below(2) == 0 ? 0.0 : -0.0; })},
      {"mostly -infinity",
       [](Values& row, base::Random& random) {
         for (float& v : row)
           v = random.below(3) == 0 ? static_cast<float>(random.normal()) : -INFINITY;
         row[random.below(row.size())] = 1.0F;
       }},
      {"one finite",
       [](Values& row, base::Random& random) {
         std::ranges::fill(row, -INFINITY);
         row[random.below(row.size())] = -5.0F;
       }},
      {"one that outweighs all",
       [](Values& row, base::Random& random) {
         for (float& v : row) v = static_cast<float>(random.normal());
         row[random.below(row.size())] = 60.0F;
       }},
      {"the largest numbers", each([](base::Random& r) { return (r.uniform() - 0.5) * 6e4; })},
      {"the smallest numbers", each([](base::Random& r) { return r.normal() * 1e-7; })},
  };
  return all;
}

class CudaDraw : public OnDevice {
 protected:
  /// All draws from one row, which the rows of the call share.
  std::vector<std::int32_t> drawn(tensor::MatrixView row, const std::vector<Draw>& draws) {
    row.rows = std::ssize(draws);
    row.stride = 0;
    std::int32_t* tokens = array(std::vector<std::int32_t>(draws.size() + 1, -7));
    draw_tokens(row, array(draws), tokens, stream());
    std::vector<std::int32_t> found = read(tokens, draws.size() + 1);
    EXPECT_EQ(found.back(), -7);
    found.pop_back();
    return found;
  }
  /// One row with NaN beside it.
  TestMatrix row_of(DType type, const Values& values, std::int64_t pad) {
    auto x = TestMatrix::poisoned(type, 1, std::ssize(values), pad, stream());
    x.set_row(0, values);
    x.upload();
    return x;
  }
};

class CudaDrawFrom : public CudaDraw, public ::testing::WithParamInterface<std::int64_t> {};

TEST_P(CudaDrawFrom, EveryTokenIsThatOfTheCpu) {
  const std::int64_t cols = GetParam();
  const std::vector<Draw> draws = some_draws(cols);
  base::Random random(7);
  Values values(static_cast<std::size_t>(cols));
  int pad = 0;
  for (const Kind& kind : kinds()) {
    for (const DType type : kFloatTypes) {
      kind.make(values, random);
      pad = (pad + 3) % 9;
      const TestMatrix x = row_of(type, values, pad);
      const Values rounded = x.row(0);
      const auto found = drawn(x.view(), draws);
      int wrong = 0;
      for (std::size_t i = 0; i < draws.size(); ++i) {
        const std::int32_t wanted = cpu::draw_token(rounded, draws[i]);
        if (found[i] == wanted) continue;
        ADD_FAILURE() << found[i] << " for " << wanted << " of " << cols << " " << name_of(type)
                      << ", " << kind.name << ", padding " << pad << ", " << text_of(draws[i]);
        if (++wrong == 3) return;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Over, CudaDrawFrom, ::testing::ValuesIn(kVocabularies),
                         [](const auto& info) { return fmt::format("n{}", info.param); });

/// The last place of every part that is looked into on the way to a token.
TEST_F(CudaDraw, EveryTokenIsReached) {
  for (const std::int64_t cols : {1, 33, 257, 8191, 8192, 8200, 20000}) {
    const auto n = static_cast<double>(cols);
    const TestMatrix x = row_of(DType::f32, Values(static_cast<std::size_t>(cols), 2.0F), 8);
    std::vector<Draw> draws;
    for (std::int64_t i = 0; i < cols; ++i)
      draws.push_back({(static_cast<double>(i) + 0.5) / n, 1.0F, 1.0F, 0});
    const auto found = drawn(x.view(), draws);
    for (std::int64_t i = 0; i < cols; ++i)
      ASSERT_EQ(found[static_cast<std::size_t>(i)], i) << cols;
  }
}

/// Equals at the cut: the first are kept, wherever they stand.
TEST_F(CudaDraw, EqualsAtTheCutAreTheFirst) {
  constexpr std::int64_t kCols = 30000;
  base::Random random(11);
  Values values(kCols);
  for (float& v : values) v = static_cast<float>(random.below(3));
  const TestMatrix x = row_of(DType::bf16, values, 3);
  std::vector<Draw> draws;
  for (std::int32_t top_k = 1; top_k < kCols; top_k = top_k * 5 / 4 + 1) {
    for (const double u : {0.0, 0.3, 0.99, kBelowOne}) {
      draws.push_back({u, 1.0F, 1.0F, top_k});
      draws.push_back({u, 2.0F, 0.97F, top_k});
      draws.push_back({u, 1e30F, 0.4F, top_k});
    }
  }
  const auto found = drawn(x.view(), draws);
  for (std::size_t i = 0; i < draws.size(); ++i)
    EXPECT_EQ(found[i], cpu::draw_token(values, draws[i])) << text_of(draws[i]);
}

TEST_F(CudaDraw, WhatIsNotFiniteGivesNoToken) {
  for (const DType type : kFloatTypes) {
    for (const std::int64_t cols : {1, 2, 33, 8192, 49157}) {
      const auto n = static_cast<std::size_t>(cols);
      const std::vector<Draw> draws{
          {0.5, 1.0F, 1.0F, 0}, {0.5, 0.0F, 1.0F, 0}, {0.5, 1.0F, 0.9F, 4}};
      const std::vector<std::int32_t> none(draws.size(), -1);
      const std::size_t places[] = {0, n / 2, n - 1};
      for (const float bad : {NAN, -NAN, INFINITY}) {
        for (const std::size_t place : places) {
          Values values(n, 1.0F);
          values[place] = bad;
          const TestMatrix x = row_of(type, values, 3);
          EXPECT_EQ(drawn(x.view(), draws), none) << bad << " at " << place << " of " << cols;
        }
      }
      const TestMatrix x = row_of(type, Values(n, -INFINITY), 3);
      EXPECT_EQ(drawn(x.view(), draws), none) << cols;
    }
  }
}

TEST_F(CudaDraw, RowsDoNotMeet) {
  for (const std::int64_t pad : {0, 3, 8}) {
    constexpr std::int64_t kRows = 65;
    const auto x = TestMatrix::random(DType::f32, kRows, 1001, pad, stream(), 31, 3.0);
    std::vector<Draw> draws = all_draws(1001);
    draws.resize(kRows);
    std::int32_t* tokens = array(std::vector<std::int32_t>(kRows, -7));
    const Draw* there = array(draws);
    for (int pass = 0; pass < 3; ++pass) {  // the same every time
      stream().fill_bytes(tokens, 0xff, kRows * sizeof(std::int32_t));
      draw_tokens(x.view(), there, tokens, stream());
      const auto found = read(tokens, kRows);
      for (std::int64_t r = 0; r < kRows; ++r) {
        const auto i = static_cast<std::size_t>(r);
        EXPECT_EQ(found[i], cpu::draw_token(x.row(r), draws[i])) << r << " " << text_of(draws[i]);
      }
    }
  }
  draw_tokens(TestMatrix(DType::f32, 1, 8, 0, stream()).view().slice(0, 0), nullptr, nullptr,
              stream());
  stream().synchronize();
}

/// Pearson's sum over many draws, against the softmax of the kept.
TEST_F(CudaDraw, FrequenciesAreTheSoftmax) {
  constexpr int kDraws = 200000;
  const Values values = random_values(1000, 41, 1.5);
  const TestMatrix x = row_of(DType::f32, values, 0);
  Values sorted = values;
  std::ranges::sort(sorted, std::greater());
  for (const std::int32_t top_k : {0, 50}) {
    base::Random random(42);
    std::vector<Draw> draws(kDraws, {0.0, 0.8F, 1.0F, top_k});
    for (Draw& draw : draws) draw.uniform = random.uniform();
    std::vector<double> counts(values.size());
    for (const std::int32_t token : drawn(x.view(), draws)) ++counts.at(std::size_t(token));
    const float least = top_k == 0 ? sorted.back() : sorted[std::size_t(top_k) - 1];
    double total = 0;
    for (const float v : values) total += v >= least ? std::exp(double{v} / 0.8) : 0.0;
    double squares = 0;
    int bins = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double expected =
          values[i] >= least ? kDraws * std::exp(double{values[i]} / 0.8) / total : 0.0;
      EXPECT_TRUE(expected > 0.0 || counts[i] == 0) << i;
      if (expected < 5) continue;
      squares += (counts[i] - expected) * (counts[i] - expected) / expected;
      ++bins;
    }
    EXPECT_GE(bins, 40);
    EXPECT_NEAR(squares, bins, 6 * std::sqrt(2.0 * bins)) << top_k;
  }
}

TEST_F(CudaDraw, AGraphDrawsAnew) {
  constexpr std::int64_t kCols = 49152;
  constexpr std::size_t kRows = 3;
  auto x = TestMatrix::random(DType::f32, kRows, kCols, 0, stream(), 51, 3.0);
  Draw* there = array(std::vector<Draw>(kRows));
  std::int32_t* tokens = array(std::vector<std::int32_t>(kRows, -7));
  const PinnedBuffer pinned(kRows * sizeof(Draw));
  draw_tokens(x.view(), there, tokens, stream());
  stream().begin_capture();
  stream().copy_to_device(there, pinned.data(), pinned.size());
  draw_tokens(x.view(), there, tokens, stream());
  const Graph graph = stream().end_capture();
  std::vector<Draw> draws = all_draws(kCols);
  for (std::size_t launch = 0; launch < 20; ++launch) {
    const Draw* next = &draws[launch * kRows];
    std::memcpy(pinned.data(), next, kRows * sizeof(Draw));
    x.set_row(1, random_values(kCols, launch, 2.0));
    x.upload();
    stream().launch(graph);
    const auto found = read(tokens, kRows);
    for (std::size_t r = 0; r < kRows; ++r)
      EXPECT_EQ(found[r], cpu::draw_token(x.row(std::int64_t(r)), next[r])) << text_of(next[r]);
  }
}

}  // namespace
}  // namespace assay::kernels::cuda
