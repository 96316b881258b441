// What the engine asks of devices, counted on devices that are none.
#include "engine_fake/fake_cuda.h"

#include <gtest/gtest.h>

#include "engine/support.h"

namespace assay::testing {
namespace {

using engine::Model;
using engine::ModelSource;
namespace fake = kernels::cuda::fake;

std::unique_ptr<Model> load(const std::string& model, const std::string& text,
                            const std::string& device = "cuda") {
  auto source = ModelSource::open(golden_model(model));
  auto plan = engine::make_plan(*source, recipe(text), {.device = device});
  return std::make_unique<Model>(std::move(source), std::move(plan),
                                 engine::LoadOptions{.threads = 1});
}

/// The kernels behind the fake are the CPU's portable ones.
TEST(FakeDevices, TheResultsAreThoseOfTheCpu) {
  const Tokens ids{3, 4, 5, 6, 7, 8, 9, 10, 11};
  for (const char* text : {"fp32", "int8-weight-only"}) {
    const auto there = load("llama_single_kv", text);
    const auto here = load("llama_single_kv", text, "cpu");
    const double allowed = std::string_view(text) == "fp32" ? 1e-5 : 2e-2;
    EXPECT_LE(relative_error(all_logits(*there, ids), all_logits(*here, ids)), allowed) << text;
    EXPECT_EQ(greedy(*there, ids, 40, false), greedy(*here, ids, 40, false)) << text;
    EXPECT_EQ(precision::compare(there->plan(), there->ledger()), "") << text;
    EXPECT_GT(there->graphs().launches, 30) << text;
  }
}

/// step(i) decodes the i-th token of each sequence.
template <typename Step>
void expect_one_wait_a_step(const engine::Model& model, const Step& step) {
  step(1);
  step(2);  // captured
  const std::int64_t waits = fake::synchronizations;
  const std::int64_t bytes = fake::bytes_to_host;
  for (int i = 0; i < 50; ++i) step(i);
  EXPECT_EQ(fake::synchronizations - waits, 50);
  EXPECT_EQ(fake::bytes_to_host, bytes);
  EXPECT_EQ(model.graphs().captured, 1);
  EXPECT_EQ(model.graphs().launches, 51);
}

TEST(FakeDevices, AGreedyStepWaitsOnceAndBringsNothingBesideItsGraph) {
  const auto model = load("llama_untied", "fp32");
  models::KvCache cache = model->make_cache(3, 100);
  Tokens last{3, 4, 5};
  const auto step = [&] {
    std::vector<engine::Sequence> batch;
    for (int i = 0; i < 3; ++i) batch.push_back({{&last[std::size_t(i)], 1}, i});
    const auto next = model->decode_greedy(batch, cache);
    std::copy(next.begin(), next.end(), last.begin());
  };
  expect_one_wait_a_step(*model, [&](int) { step(); });
}

TEST(FakeDevices, ASampledStepWaitsOnceAndBringsNothingBesideItsGraph) {
  const auto model = load("llama_untied", "fp32");
  models::KvCache cache = model->make_cache(3, 100);
  Tokens last{3, 4, 5};
  base::Random random(1);
  const auto step = [&](float temperature) {
    std::vector<engine::Sequence> batch;
    std::vector<ops::Draw> draws;
    for (int i = 0; i < 3; ++i) {
      batch.push_back({{&last[std::size_t(i)], 1}, i});
      draws.push_back({.uniform = random.uniform(), .temperature = temperature, .top_k = 40});
    }
    const auto next = model->decode_sampled(batch, cache, draws);
    std::copy(next.begin(), next.end(), last.begin());
  };
  expect_one_wait_a_step(*model, [&](int i) { step(0.1F * static_cast<float>(i)); });
}

TEST(FakeDevices, LogitsThatAreNotFiniteAreAnErrorOfSampling) {
  const auto model = load("llama_untied", "fp32");
  models::KvCache cache = model->make_cache(1, 8);
  const TokenId token = 7;
  const engine::Sequence step{{&token, 1}, 0};
  const ops::Draw draw;
  fake::spoil_logits = true;
  expect_error(ErrorCode::numeric, {"logits to sample from"}, [&] {
    (void)model->decode_sampled({&step, 1}, cache, {&draw, 1});
  });
  fake::spoil_logits = false;
  EXPECT_GE(model->decode_sampled({&step, 1}, cache, {&draw, 1}).front(), 0);
}

TEST(FakeDevices, EveryLaunchOfAGraphIsInTheLedger) {
  const auto model = load("llama_untied", "int8");
  models::KvCache cache = model->make_cache(1, 100);
  const TokenId token = 7;
  for (int i = 0; i < 20; ++i) {
    const engine::Sequence step{{&token, 1}, 0};
    model->step({&step, 1}, cache);
  }
  for (const auto& entry : model->ledger().entries()) EXPECT_EQ(entry.calls, 20) << entry.layer;
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
  model->ledger().clear();
  const engine::Sequence step{{&token, 1}, 0};
  model->step({&step, 1}, cache);
  for (const auto& entry : model->ledger().entries()) EXPECT_EQ(entry.calls, 1) << entry.layer;
}

TEST(FakeDevices, FloatingWeightsAreQuantizedThere) {
  const std::int64_t before = fake::encoded_on_device;
  const auto model = load("llama_untied", "nf4");
  EXPECT_GE(fake::encoded_on_device - before, 14);  // seven layers of two blocks
  EXPECT_GT(tensor::allocation_stats(tensor::DeviceKind::cuda).current, 0);
}

TEST(FakeDevices, SyntheticWeightsAreMadeThere) {
  const std::int64_t before = fake::synthesized_on_device;
  auto source = ModelSource::open("synthetic:distilbert-base");
  auto plan = engine::make_plan(*source, recipe("bf16"), {.device = "cuda"});
  const Model model(std::move(source), std::move(plan), engine::LoadOptions{.threads = 1});
  EXPECT_EQ(fake::synthesized_on_device - before, std::ssize(model.plan().entries));
}

TEST(FakeDevices, ALongerPromptDropsGraphsThatHoldOldAddresses) {
  const auto model = load("llama_untied", "fp32");
  const auto here = load("llama_untied", "fp32", "cpu");
  const Tokens longer(64, 9);
  for (int round = 0; round < 3; ++round) {
    const Tokens prompt(longer.begin(), longer.begin() + 5 + 20 * round);
    EXPECT_EQ(greedy(*model, prompt, 12, false), greedy(*here, prompt, 12, false)) << round;
  }
}

}  // namespace
}  // namespace assay::testing
