#include "ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/hash.h"

namespace assay::ops {
namespace {

using kernels::cpu::Isa;
using kernels::cpu::LinearCall;
using kernels::cpu::LinearKernel;
using kernels::cpu::LinearProblem;
using precision::Encoding;
using tensor::DType;

std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

tensor::Matrix random_matrix(DType type, std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  tensor::Matrix m(type, rows, cols);
  for (std::int64_t r = 0; r < rows; ++r) {
    tensor::store_row(m.view(), r, random_values(cols, seed + static_cast<std::uint64_t>(r)));
  }
  return m;
}

std::vector<float> row_of(const tensor::Matrix& m, std::int64_t r) {
  std::vector<float> values(static_cast<std::size_t>(m.cols()));
  tensor::load_row(m.view(), r, values);
  return values;
}

class LinearTest : public testing::Test {
 protected:
  static constexpr std::int64_t kRows = 48;
  static constexpr std::int64_t kCols = 64;

  static LinearProblem problem(Encoding encoding, DType compute) {
    return {.encoding = encoding, .compute = compute, .n = kRows, .k = kCols};
  }
  static precision::EncodedTensor weight(Encoding encoding) {
    return precision::info(encoding).encode(random_values(kRows * kCols, 1), kRows, kCols);
  }
  Linear layer(const std::string& name, Encoding encoding, DType compute,
               std::vector<float> bias = {}) {
    const LinearChoice choice = choose_linear(problem(encoding, compute));
    if (!choice.kernel) throw std::runtime_error(choice.reason);
    return Linear(name, weight(encoding), std::move(bias), {}, choice.kernel, context_);
  }

  base::ThreadPool pool_{2};
  kernels::cpu::Workspace workspace_;
  precision::Ledger ledger_;
  Context context_{pool_, workspace_, ledger_};
};

TEST_F(LinearTest, ChoosesNoKernelAboveTheActiveInstructionSet) {
  const Isa before = kernels::cpu::active_isa();
  for (const Isa isa : kernels::cpu::available_isas()) {
    kernels::cpu::force_isa(isa);
    const LinearChoice choice = choose_linear(problem(Encoding::bf16, DType::bf16));
    ASSERT_TRUE(choice.kernel) << choice.reason;
    EXPECT_EQ(choice.kernel.identity().encoding, Encoding::bf16);
    EXPECT_EQ(choice.kernel.identity().compute, DType::bf16);
    bool path_allowed = false;
    for (const Isa other : kernels::cpu::available_isas()) {
      if (other <= isa)
        path_allowed |= kernels::cpu::name_of(other) == choice.kernel.identity().path;
    }
    EXPECT_TRUE(path_allowed) << choice.kernel.identity().path;
    EXPECT_EQ(find_linear_kernel(choice.kernel.identity().kernel), choice.kernel.cpu());
  }
  kernels::cpu::force_isa(before);
}

TEST_F(LinearTest, SaysWhyThereIsNoKernel) {
  LinearProblem wanted = problem(Encoding::nf4, DType::bf16);
  wanted.activation = precision::Activation::int8_dynamic;
  const LinearChoice choice = choose_linear(wanted);
  EXPECT_FALSE(choice.kernel);
  EXPECT_NE(choice.reason.find("nf4"), std::string::npos) << choice.reason;
  EXPECT_NE(choice.reason.find("int8 activations"), std::string::npos) << choice.reason;
  EXPECT_EQ(choice.reason.find('\n'), std::string::npos);

  LinearProblem crooked = problem(Encoding::q4_0, DType::bf16);
  crooked.k = 33;
  const LinearChoice none = choose_linear(crooked);
  EXPECT_FALSE(none.kernel);
  EXPECT_NE(none.reason.find("33"), std::string::npos) << none.reason;
  EXPECT_EQ(find_linear_kernel("linear_of_nobody"), nullptr);
}

TEST_F(LinearTest, MultipliesAddsTheBiasAndRecordsWhatRan) {
  const auto bias = random_values(kRows, 7);
  const Linear linear = layer("block.0.up", Encoding::f32, DType::f32, bias);
  EXPECT_EQ(linear.rows(), kRows);
  EXPECT_EQ(linear.cols(), kCols);
  EXPECT_EQ(linear.encoding(), Encoding::f32);
  EXPECT_GE(linear.bytes(), kRows * kCols * 4);
  EXPECT_TRUE(ledger_.entries().empty());  // nothing ran yet

  const tensor::Matrix x = random_matrix(DType::f32, 5, kCols, 20);
  tensor::Matrix y(DType::f32, 5, kRows);
  linear.run(x.view(), y.view(), context_);
  linear.run(x.view(3), y.view(3), context_);

  const auto encoded = weight(Encoding::f32);
  std::vector<float> w(kCols);
  for (std::int64_t n = 0; n < kRows; ++n) {
    precision::info(Encoding::f32).decode_row(encoded, n, w);
    for (std::int64_t m = 0; m < 5; ++m) {
      const auto in = row_of(x, m);
      double sum = bias[static_cast<std::size_t>(n)];
      double magnitude = std::abs(sum);
      for (std::size_t k = 0; k < w.size(); ++k) {
        sum += double{w[k]} * in[k];
        magnitude += std::abs(double{w[k]} * in[k]);
      }
      EXPECT_NEAR(row_of(y, m)[static_cast<std::size_t>(n)], sum, 0x1p-24 * 16 * magnitude);
    }
  }
  ASSERT_EQ(ledger_.entries().size(), 1U);
  const auto& entry = ledger_.entries()[0];
  EXPECT_EQ(entry.layer, "block.0.up");
  EXPECT_EQ(entry.kernel, choose_linear(problem(Encoding::f32, DType::f32)).kernel.identity());
  EXPECT_EQ(entry.calls, 2);
  EXPECT_EQ(entry.rows_min, 3);
  EXPECT_EQ(entry.rows_max, 5);
}

TEST_F(LinearTest, TheLedgerHoldsWhatTheKernelReturnedNotWhatWasChosen) {
  Linear linear = layer("head", Encoding::f32, DType::f32);
  LinearKernel impostor = *choose_linear(problem(Encoding::f32, DType::f32)).kernel.cpu();
  impostor.run = [](LinearCall& call) {
    call.outlier_columns = 4;
    precision::KernelIdentity other;
    other.kernel = "impostor";
    other.compute = DType::bf16;
    return other;
  };
  linear.swap_kernel_for_test(impostor);
  const tensor::Matrix x = random_matrix(DType::f32, 1, kCols, 1);
  tensor::Matrix y(DType::f32, 1, kRows);
  linear.run(x.view(), y.view(), context_);
  ASSERT_EQ(ledger_.entries().size(), 1U);
  EXPECT_EQ(ledger_.entries()[0].kernel.kernel, "impostor");
  EXPECT_EQ(ledger_.entries()[0].kernel.compute, DType::bf16);
  EXPECT_EQ(ledger_.entries()[0].outlier_columns, 4);
}

/// One region where the kernel is one; each layer has its entry either way.
TEST_F(LinearTest, LayersThatShareAnInputHaveEachTheirEntry) {
  const auto bias = random_values(kRows, 7);
  const Linear gate = layer("gate", Encoding::f32, DType::f32, bias);
  const Linear up = layer("up", Encoding::f32, DType::f32);
  const Linear odd = layer("odd", Encoding::bf16, DType::bf16);
  const tensor::Matrix x = random_matrix(DType::f32, 3, kCols, 1);
  const std::vector<std::vector<const Linear*>> groups = {{&gate, &up}, {&gate, &odd, &up}, {&up}};
  for (const auto& layers : groups) {
    std::vector<tensor::Matrix> together;
    std::vector<tensor::MatrixView> views;
    for (std::size_t i = 0; i < layers.size(); ++i) together.emplace_back(DType::f32, 3, kRows);
    for (const tensor::Matrix& y : together) views.push_back(y.view());
    ledger_.clear();
    Linear::run_all(layers, x.view(), views, context_);
    ASSERT_EQ(ledger_.entries().size(), layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      EXPECT_EQ(ledger_.entries()[i].layer, layers[i]->name());
      EXPECT_EQ(ledger_.entries()[i].kernel.encoding, layers[i]->encoding());
      EXPECT_EQ(ledger_.entries()[i].calls, 1);
      EXPECT_EQ(ledger_.entries()[i].rows_max, 3);
      const tensor::Matrix alone(DType::f32, 3, kRows);
      layers[i]->run(x.view(), alone.view(), context_);
      for (std::int64_t r = 0; r < 3; ++r) EXPECT_EQ(row_of(together[i], r), row_of(alone, r));
    }
  }
  const tensor::Matrix narrow(DType::f32, 3, kRows - 1);
  const std::vector<const Linear*> pair = {&gate, &up};
  const std::vector<tensor::MatrixView> wrong = {narrow.view(), narrow.view()};
  EXPECT_THROW(Linear::run_all(pair, x.view(), wrong, context_), Error);
}

TEST_F(LinearTest, OnlyInt8ActivationsGetTheThreshold) {
  static float seen = -1.0F;
  LinearKernel spy = *choose_linear(problem(Encoding::int8, DType::bf16)).kernel.cpu();
  spy.run = [](LinearCall& call) {
    seen = call.threshold;
    return precision::KernelIdentity{};
  };
  const tensor::Matrix x = random_matrix(DType::bf16, 1, kCols, 1);
  tensor::Matrix y(DType::bf16, 1, kRows);
  precision::Precision precision;
  precision.threshold = 6.0F;
  Linear(std::string("a"), weight(Encoding::int8), {}, precision, spy, context_)
      .run(x.view(), y.view(), context_);
  EXPECT_EQ(seen, 0.0F);
  precision.activation = precision::Activation::int8_dynamic;
  Linear(std::string("b"), weight(Encoding::int8), {}, precision, spy, context_)
      .run(x.view(), y.view(), context_);
  EXPECT_EQ(seen, 6.0F);
}

TEST_F(LinearTest, ATableIsReadByRowsAndATiedHeadSharesIt) {
  const Linear table = layer("embed", Encoding::bf16, DType::bf16);
  const Linear head("lm_head", table, context_);
  EXPECT_EQ(head.storage(), table.storage());
  EXPECT_EQ(head.rows(), kRows);

  tensor::Matrix y(DType::bf16, 3, kCols);
  const std::vector<std::int32_t> ids = {47, 0, 47};
  table.lookup(ids, y.view(), context_);
  std::vector<float> wanted(kCols);
  const auto encoded = weight(Encoding::bf16);
  for (std::int64_t r = 0; r < 3; ++r) {
    precision::info(Encoding::bf16).decode_row(encoded, ids[static_cast<std::size_t>(r)], wanted);
    EXPECT_EQ(row_of(y, r), wanted);
  }
  tensor::Matrix logits(DType::f32, 3, kRows);
  head.run(y.view(), logits.view(), context_);
  ASSERT_EQ(ledger_.entries().size(), 2U);
  EXPECT_EQ(ledger_.entries()[0].layer, "embed");
  EXPECT_EQ(ledger_.entries()[0].kernel,
            choose_linear(problem(Encoding::bf16, DType::bf16)).kernel.lookup_identity());
  EXPECT_EQ(ledger_.entries()[0].rows_max, 3);
  EXPECT_EQ(ledger_.entries()[1].layer, "lm_head");
}

TEST_F(LinearTest, NoRowsAreNoCall) {
  const Linear linear = layer("a", Encoding::f32, DType::f32);
  tensor::Matrix x(DType::f32, 1, kCols);
  tensor::Matrix y(DType::f32, 1, kRows);
  linear.run(x.view(0), y.view(0), context_);
  EXPECT_TRUE(ledger_.entries().empty());
}

/// Runs `body`, expects an Error and returns it.
template <typename F>
Error error_of(const F& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::internal, "");
}

TEST_F(LinearTest, ErrorsNameTheLayer) {
  const Linear linear = layer("block.3.down", Encoding::f32, DType::f32);
  tensor::Matrix x(DType::f32, 2, kCols);
  tensor::Matrix wrong(DType::f32, 2, kRows + 1);
  const Error shape = error_of([&] { linear.run(x.view(), wrong.view(), context_); });
  EXPECT_EQ(shape.code(), ErrorCode::internal);
  EXPECT_NE(std::string(shape.what()).find("block.3.down"), std::string::npos);

  for (const std::int32_t id : {-1, static_cast<std::int32_t>(kRows)}) {
    tensor::Matrix y(DType::f32, 1, kCols);
    const Error range =
        error_of([&] { linear.lookup(std::vector<std::int32_t>{id}, y.view(), context_); });
    EXPECT_EQ(range.code(), ErrorCode::bad_data);
    EXPECT_NE(std::string(range.what()).find(fmt::format("row {}", id)), std::string::npos);
  }
  const Error bias = error_of([&] { (void)layer("q", Encoding::f32, DType::f32, {1.0F}); });
  EXPECT_EQ(bias.code(), ErrorCode::bad_data);
}

TEST_F(LinearTest, ANaNWeightIsFoundWhenPacked) {
  auto values = random_values(kRows * kCols, 1);
  values[77] = NAN;
  tensor::Buffer bytes(values.size() * sizeof(float));
  std::copy(values.begin(), values.end(), bytes.as<float>());
  precision::EncodedTensor bad;
  bad.rows = kRows;
  bad.cols = kCols;
  bad.codes = precision::share(std::move(bytes));
  const auto kernel = choose_linear(problem(Encoding::f32, DType::f32)).kernel;
  const Error error = error_of([&] { Linear("block.1.gate", bad, {}, {}, kernel, context_); });
  EXPECT_EQ(error.code(), ErrorCode::numeric);
  EXPECT_TRUE(std::string(error.what()).starts_with("block.1.gate: ")) << error.what();
}

}  // namespace
}  // namespace assay::ops
