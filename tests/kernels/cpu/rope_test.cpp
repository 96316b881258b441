#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/elementwise.h"
#include "matrix_helpers.h"

namespace assay::kernels::cpu {
namespace {

using tensor::DType;

TEST(Rope, AMagnitudeMultipliesWhatIsRotated) {
  base::ThreadPool pool(1);
  const std::vector<std::int32_t> positions = {0, 900};
  const std::vector<float> frequencies = {1.0F, 0.01F};
  for_each_isa([&] {
    const auto before = StridedMatrix::random(DType::f32, 2, 12, 9);
    auto plain = before.copy();
    auto larger = before.copy();
    rope(plain.view(), positions, frequencies, 6, pool);
    rope(larger.view(), positions, frequencies, 6, pool, 1.25F);
    for (std::int64_t r = 0; r < 2; ++r) {
      for (std::size_t c = 0; c < 12; ++c) {
        const float factor = c % 6 < 4 ? 1.25F : 1.0F;
        EXPECT_NEAR(larger.row(r)[c], factor * plain.row(r)[c], 1e-6);
      }
    }
  });
}

TEST(Rope, FewerFrequenciesRotateTheFirstColumnsOfEachHead) {
  base::ThreadPool pool(2);
  const std::vector<std::int32_t> positions = {3, 700};
  for_each_isa([&] {
    for (const std::int64_t rotated : {2, 6, 34}) {
      constexpr std::int64_t kHead = 40;
      const std::vector<float> frequencies(static_cast<std::size_t>(rotated / 2), 0.37F);
      auto x = StridedMatrix::random(DType::f32, 2, 3 * kHead, 4);
      // The same columns as heads of that width.
      StridedMatrix part(DType::f32, 2, 3 * rotated);
      const auto before = x.copy();
      for (std::int64_t r = 0; r < 2; ++r) {
        std::vector<float> row;
        for (std::int64_t c = 0; c < 3 * kHead; ++c) {
          if (c % kHead < rotated) row.push_back(before.row(r)[static_cast<std::size_t>(c)]);
        }
        part.set_row(r, row);
      }
      rope(part.view(), positions, frequencies, rotated, pool);
      rope(x.view(), positions, frequencies, kHead, pool);
      for (std::int64_t r = 0; r < 2; ++r) {
        for (std::int64_t c = 0; c < 3 * kHead; ++c) {
          const std::int64_t place = c % kHead;
          const float wanted =
              place < rotated ? part.row(r)[static_cast<std::size_t>(c / kHead * rotated + place)]
                              : before.row(r)[static_cast<std::size_t>(c)];
          EXPECT_EQ(x.row(r)[static_cast<std::size_t>(c)], wanted) << rotated << " column " << c;
        }
      }
    }
  });
}

TEST(Rope, MatchesDoubleForEveryHeadWidth) {
  base::ThreadPool pool(2);
  const std::vector<std::int32_t> positions = {0, 1, 17, 4095};
  for_each_isa([&] {
    for (const DType type : kFloatTypes) {
      for (const std::int64_t head_dim : {2, 4, 6, 10, 32, 34, 64, 96, 128, 130, 256}) {
        std::vector<float> frequencies;
        for (std::int64_t i = 0; i < head_dim / 2; ++i) {
          frequencies.push_back(static_cast<float>(std::pow(10000.0, -2.0 * i / head_dim)));
        }
        auto x = StridedMatrix::random(type, 4, 3 * head_dim, 1);
        const auto before = x.copy();
        rope(x.view(), positions, frequencies, head_dim, pool);
        EXPECT_EQ(x.padding(), before.padding());
        EXPECT_EQ(x.row(0), before.row(0));  // position 0 turns by nothing
        for (std::int64_t r = 1; r < 4; ++r) {
          const auto in = before.row(r);
          const auto out = x.row(r);
          for (std::int64_t c = 0; c < 3 * head_dim; ++c) {
            const std::int64_t place = c % head_dim;
            const std::int64_t pair = place % (head_dim / 2);
            const std::int64_t first = c - place + pair;
            const float angle = static_cast<float>(positions[static_cast<std::size_t>(r)]) *
                                frequencies[static_cast<std::size_t>(pair)];
            const double a = in[static_cast<std::size_t>(first)];
            const double b = in[static_cast<std::size_t>(first + head_dim / 2)];
            const double cosine = std::cos(double{angle});
            const double sine = std::sin(double{angle});
            const double wanted =
                place < head_dim / 2 ? a * cosine - b * sine : b * cosine + a * sine;
            expect_rounded(out[static_cast<std::size_t>(c)], wanted, type,
                           4 * kEps * (std::abs(a) + std::abs(b)));
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace assay::kernels::cpu
