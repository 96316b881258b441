#include "measure/bench.h"

#include <gtest/gtest.h>

#include <cmath>

#include "measure/fake_machine.h"

namespace assay::measure {
namespace {

std::unique_ptr<engine::Model> load(const std::string& name, const std::string& recipe) {
  const auto source = engine::ModelSource::open(std::string(ASSAY_GOLDEN_DIR) + "/models/" + name);
  auto plan = engine::make_plan(*source, precision::parse_recipe(recipe, recipe, "test"), {});
  return std::make_unique<engine::Model>(source, std::move(plan), engine::LoadOptions{});
}

TEST(BenchDecoder, RowsAreNamedMeasuredAndVerified) {
  const auto model = load("llama_tied", "bf16");
  const DecoderWorkload workload{.prompt = {8, 0},
                                 .generate = {3},
                                 .depth = {0, 5},
                                 .batch = {1, 2},
                                 .timing = {.warmup = 1, .iterations = 2}};
  std::vector<std::string> names;
  bench_decoder(*model, workload, {}, {}, [&](BenchRow&& row) {
    names.push_back(row.test);
    EXPECT_EQ(row.reason, "");
    EXPECT_GE(row.samples.size(), 2U);
    EXPECT_GT(row.metrics["tokens_per_second"]["value"].get<double>(), 0.0);
    EXPECT_GT(row.metrics["weight_bytes"]["value"].get<std::int64_t>(), 0);
    EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
  });
  EXPECT_EQ(names,
            (std::vector<std::string>{"pp8", "tg3", "tg3@d5", "b2pp8", "b2tg3", "b2tg3@d5"}));
}

TEST(BenchDecoder, RefusesMorePositionsThanTheModelHas) {
  const auto model = load("llama_tied", "fp32");
  DecoderWorkload workload;
  workload.prompt = {static_cast<int>(model->config().max_positions) + 1};
  EXPECT_THROW(bench_decoder(*model, workload, {}, {}, [](BenchRow&&) {}), Error);
}

/// Outputs of each input are held against its own verification pass: the row would be invalid if
/// they were not.
TEST(BenchEncoder, CyclesThroughGivenSamples) {
  const testing::Variable no_meter("ASSAY_POWERCAP_ROOT", "/nowhere/powercap");
  const auto model = load("distilbert_classifier", "fp32");
  const std::vector<std::vector<engine::TokenId>> data{{1, 2, 3}, {4, 5}, {6, 7, 8, 9}};
  const auto inputs_of = [&](int batch, TokenSequences samples) {
    const EncoderWorkload workload{
        .batch = {batch}, .sequence = {7}, .timing = {.warmup = 1, .iterations = 7}};
    Json inputs;
    bench_encoder(*model, workload, samples, {}, [&](BenchRow&& row) {
      EXPECT_EQ(row.test, fmt::format("b{}s7", batch));
      EXPECT_EQ(row.reason, "");
      EXPECT_GT(row.metrics["latency"]["p99"].get<double>(), 0.0);
      EXPECT_EQ(row.iterations["ran"], 7);
      EXPECT_EQ(row.iterations["checked"], 7);
      inputs = row.iterations["inputs"];
    });
    return inputs;
  };
  EXPECT_EQ(inputs_of(1, data), 3);
  EXPECT_EQ(inputs_of(2, data), 1);
  EXPECT_EQ(inputs_of(1, {}), 1);
  EXPECT_EQ(inputs_of(1, std::vector(40, data[0])), 16);
}

/// The ledger of a timed row counts the timed iterations and no other work.
TEST(BenchDecoder, LedgerHoldsTheTimedIterationsOnly) {
  const auto model = load("llama_tied", "fp32");
  const DecoderWorkload workload{
      .prompt = {4}, .generate = {}, .timing = {.warmup = 1, .iterations = 3}};
  bench_decoder(*model, workload, {}, {}, [&](BenchRow&& row) {
    const auto& entries = model->ledger().entries();
    ASSERT_FALSE(entries.empty());
    const auto passes = static_cast<std::int64_t>(row.samples.size());
    for (const auto& entry : entries) {
      EXPECT_GE(entry.calls, passes);
      EXPECT_LE(entry.calls, passes + 4);  // warm-up passes run behind the cleared ledger
    }
  });
}

}  // namespace
}  // namespace assay::measure
