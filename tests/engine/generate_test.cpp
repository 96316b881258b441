#include <gtest/gtest.h>

#include "engine/support.h"

namespace assay::testing {
namespace {

class Generating : public ::testing::Test {
 protected:
  std::unique_ptr<engine::Model> model_ = load_model(golden_model("llama_tied"), "fp32", 2);
  Tokens prompt_{5, 17, 99};
};

TEST_F(Generating, StopsWhereItIsTold) {
  const Tokens all = greedy(*model_, prompt_, 20, false);
  ASSERT_EQ(all.size(), 20U);
  Tokens seen;
  const Tokens stopped =
      engine::generate(*model_, prompt_, 20, {.stop_at_eos = false}, [&](TokenId id) {
        seen.push_back(id);
        return seen.size() < 7;
      });
  EXPECT_EQ(stopped, seen);
  EXPECT_EQ(stopped, Tokens(all.begin(), all.begin() + 7));
  EXPECT_TRUE(greedy(*model_, prompt_, 0).empty());
}

TEST_F(Generating, StopsAtEos) {
  const Tokens all = greedy(*model_, prompt_, 20, false);
  const TokenId stop = all[5];
  const auto first = std::find(all.begin(), all.end(), stop);
  const ScratchFolder folder;
  Json config = golden_config("llama_tied");
  config["eos_token_id"] = {1, stop};
  const auto path =
      write_model(folder, config, read_raw(golden_model("llama_tied") / "model.safetensors"));
  const auto model = load_model(path, "fp32", 1);
  EXPECT_EQ(greedy(*model, prompt_, 20, true), Tokens(all.begin(), first));
  EXPECT_EQ(greedy(*model, prompt_, 20, false), all);
}

TEST_F(Generating, SeedsDecideSamples) {
  const auto sampled = [&](std::uint64_t seed, int top_k = 0, float top_p = 1.0F) {
    return engine::generate(
        *model_, prompt_, 24,
        {.temperature = 1.0F, .top_k = top_k, .top_p = top_p, .seed = seed, .stop_at_eos = false});
  };
  EXPECT_EQ(sampled(1), sampled(1));
  EXPECT_NE(sampled(1), sampled(2));
  const Tokens greedy_tokens = greedy(*model_, prompt_, 24, false);
  EXPECT_EQ(sampled(3, 1), greedy_tokens);
  EXPECT_EQ(sampled(3, 0, 1e-6F), greedy_tokens);
}

TEST_F(Generating, BadOptionsAreUsageErrors) {
  const auto refused = [&](const engine::SamplingOptions& options, const std::string& name) {
    expect_error(ErrorCode::usage, {name},
                 [&] { (void)engine::generate(*model_, prompt_, 4, options); });
  };
  refused({.temperature = -1.0F}, "temperature");
  refused({.temperature = std::nanf("")}, "temperature");
  refused({.top_k = -1}, "top_k");
  refused({.top_p = 0.0F}, "top_p");
  refused({.top_p = 1.5F}, "top_p");
  expect_error(ErrorCode::usage, {"prompt"}, [&] { (void)greedy(*model_, {}, 4); });
  expect_error(ErrorCode::usage, {"160"}, [&] { (void)greedy(*model_, prompt_, 158); });
  expect_error(ErrorCode::usage, {"160"}, [&] { (void)greedy(*model_, prompt_, INT64_MAX); });
}

TEST_F(Generating, SampledSequencesStartWithBosAndDoNotDependOnTheirNumber) {
  const auto many = engine::sample_sequences(*model_, 5, 30, 7);
  ASSERT_EQ(many.size(), 5U);
  for (const Tokens& sequence : many) {
    ASSERT_EQ(sequence.size(), 30U);
    EXPECT_EQ(sequence.front(), model_->config().bos_id);
  }
  EXPECT_NE(many[0], many[1]);
  const auto few = engine::sample_sequences(*model_, 2, 30, 7);
  EXPECT_EQ(few[0], many[0]);
  EXPECT_EQ(few[1], many[1]);
  EXPECT_NE(engine::sample_sequences(*model_, 2, 30, 8)[0], many[0]);
}

/// The first draw of many seeds has the frequencies of the model's own softmax.
TEST_F(Generating, SamplesFollowTheSoftmax) {
  constexpr int kDraws = 4000;
  const Tokens bos{static_cast<TokenId>(model_->config().bos_id)};
  const std::vector<float> logits = all_logits(*model_, bos);
  const double total = kernels::cpu::log_sum_exp(logits);
  const auto best = static_cast<std::size_t>(kernels::cpu::argmax(logits));
  const double probability = std::exp(logits[best] - total);
  int hits = 0;
  for (const Tokens& sequence : engine::sample_sequences(*model_, kDraws, 2, 11)) {
    hits += static_cast<std::size_t>(sequence[1]) == best ? 1 : 0;
  }
  const double expected = kDraws * probability;
  EXPECT_NEAR(hits, expected, 5.0 * std::sqrt(expected * (1.0 - probability)));
}

}  // namespace
}  // namespace assay::testing
