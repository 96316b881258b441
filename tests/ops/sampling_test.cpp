#include "ops/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/elementwise.h"

namespace assay::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Argmax, IsTheFirstLargestOfFiniteLogits) {
  EXPECT_EQ(argmax(std::vector<float>{1, 5, 5, 2}), 1);
  EXPECT_THROW((void)argmax(std::vector<float>{NAN, 1}), Error);
  EXPECT_THROW((void)argmax(std::vector<float>{1, kInfinity}), Error);
  EXPECT_THROW((void)argmax(std::vector<float>{-kInfinity}), Error);
  EXPECT_THROW((void)argmax(std::vector<float>{}), Error);
}

class Sample : public ::testing::Test {
 protected:
  std::vector<std::int32_t> sampled(tensor::MatrixView logits, const std::vector<Draw>& draws,
                                    int threads) {
    base::ThreadPool pool(threads);
    Context context{pool, workspace_, ledger_};
    std::vector<std::int32_t> tokens(draws.size(), -7);
    sample(logits, draws.data(), tokens.data(), context);
    return tokens;
  }

  kernels::cpu::Workspace workspace_;
  precision::Ledger ledger_;
};

TEST_F(Sample, EveryRowHasItsOwnDraw) {
  constexpr std::int64_t kRows = 33;
  tensor::Matrix logits(tensor::DType::f32, kRows, 100, true);
  base::Random random(3);
  std::vector<Draw> draws;
  std::vector<std::int32_t> wanted;
  for (std::int32_t r = 0; r < kRows; ++r) {
    const std::span row(logits.view().row<float>(r), 100);
    for (float& v : row) v = static_cast<float>(random.normal());
    if (r == 20) row[7] = NAN;
    draws.push_back({.uniform = random.uniform(),
                     .temperature = 0.1F * static_cast<float>(r),
                     .top_p = r % 2 == 0 ? 0.9F : 1.0F,
                     .top_k = r % 5});
    wanted.push_back(kernels::cpu::draw_token(row, draws.back()));
  }
  EXPECT_EQ(wanted[20], -1);
  for (const int threads : {1, 3}) EXPECT_EQ(sampled(logits.view(), draws, threads), wanted);
}

TEST_F(Sample, TooLargeAVocabularyIsUnsupported) {
  tensor::Matrix logits(tensor::DType::f32, 1, kernels::cpu::kMostWeights + 1, true);
  const std::vector<Draw> draws{{.uniform = 1.0 - 0x1p-53}};
  EXPECT_EQ(sampled(logits.view().columns(0, kernels::cpu::kMostWeights), draws, 1).front(),
            kernels::cpu::kMostWeights - 1);
  try {
    (void)sampled(logits.view(), draws, 1);
    ADD_FAILURE() << "sums that may wrap around";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << error.what();
  }
}

}  // namespace
}  // namespace assay::ops
