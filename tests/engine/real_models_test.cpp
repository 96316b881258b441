// The three real models against transformers in fp32. Skipped, by name, where a model is not there.
#include <gtest/gtest.h>

#include "engine/support.h"

namespace assay::testing {
namespace {

class SmolLm2 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (path_.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 names no SmolLM2 GGUF file";
  }
  std::filesystem::path path_ = path_from("ASSAY_SMOLLM2");
  std::filesystem::path golden_ = golden_model("smollm2");
};

TEST_F(SmolLm2, IsReadAsWhatItIs) {
  const auto source = engine::ModelSource::open(path_);
  EXPECT_EQ(source->name(), "SmolLM2-135M-Instruct");
  EXPECT_EQ(source->parameters(), 134515008);
  EXPECT_EQ(source->dominant_encoding(), precision::Encoding::q4_1);
  EXPECT_TRUE(source->config().tied_head);
  EXPECT_EQ(source->layers().size(), 30U * 7U + 2U);
  EXPECT_EQ(engine::make_plan(*source, recipe("bf16"), {}).recipe, "bf16 (from q4_1)");
  EXPECT_EQ(engine::make_plan(*source, recipe("stored"), {}).recipe, "q4_1 (stored)");
  EXPECT_EQ(engine::make_plan(*source, recipe("int8"), {}).recipe, "int8");
  const auto plan = engine::make_plan(*source, recipe("stored"), {});
  EXPECT_EQ(plan.source, "q4_1");
  EXPECT_TRUE(plan.source_quantized);
}

TEST_F(SmolLm2, GreedyTextEqualsTransformers) {
  const auto model = load_model(path_, "fp32", 0);
  expect_smollm2_writes_as_transformers(*model);
}

TEST_F(SmolLm2, LogitsAgree) {
  const auto model = load_model(path_, "fp32", 0);
  const Golden golden(golden_ / "golden.safetensors");
  const Golden full(golden_ / "full_logits.safetensors");
  const auto last = [&](const std::string& name) {
    const Tokens prompt = golden.tokens(name + ".prompt");
    models::KvCache cache = model->make_cache(1, std::ssize(prompt));
    const engine::Sequence sequence{prompt, 0};
    return copy(model->decode({&sequence, 1}, cache));
  };
  for (const Json& prompt : base::read_json(golden_ / "prompts.json")) {
    const auto name = prompt.at("name").get<std::string>();
    const std::vector<float> logits = last(name);
    const Tokens ids = golden.tokens(name + ".top_ids");
    const std::vector<float> top = golden.values(name + ".top_logits");
    const double allowed = kTolerance * golden.values(name + ".max_abs_logit").at(0);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_NEAR(logits[static_cast<std::size_t>(ids[i])], top[i], allowed) << name;
    }
  }
  for (const std::string name : {"greedy0", "greedy1"}) {
    EXPECT_LE(disagreement(last(name), full.values(name + ".logits")), kTolerance) << name;
  }
}

TEST_F(SmolLm2, EveryRecipeRunsAsPlanned) {
  const auto source = engine::ModelSource::open(path_);
  const Golden golden(golden_ / "golden.safetensors");
  const Tokens prompt = golden.tokens("greedy0.prompt");
  std::vector<float> reference;
  for (const char* text : {"bf16", "fp16", "int8", "nf4", "{precision: nf4, double_quant: true}",
                           "stored", "int8-weight-only"}) {
    const auto model = load_model(source, text, 0);
    const std::vector<float> logits = all_logits(*model, prompt);
    const Tokens tokens = greedy(*model, prompt, 4);
    EXPECT_EQ(tokens.size(), 4U);
    EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "") << text;
    if (reference.empty()) reference = logits;
    EXPECT_LE(disagreement(logits, reference), 0.5) << text;
  }
}

TEST(MiniLm, EmbeddingsAgree) {
  const auto path = path_from("ASSAY_MINILM");
  if (path.empty()) GTEST_SKIP() << "ASSAY_MINILM names no folder of all-MiniLM-L6-v2";
  const auto model = load_model(path, "fp32", 0);
  const Golden golden(golden_model("minilm") / "golden.safetensors");
  int count = 0;
  for (; golden.has(fmt::format("seq{}.ids", count)); ++count) {
    const Tokens ids = golden.tokens(fmt::format("seq{}.ids", count));
    const engine::Sequence sequence{ids, 0};
    EXPECT_LE(disagreement(copy(model->embed({&sequence, 1}, false)),
                           golden.values(fmt::format("seq{}.mean", count))),
              kTolerance);
    EXPECT_LE(disagreement(copy(model->embed({&sequence, 1}, true)),
                           golden.values(fmt::format("seq{}.normalized", count))),
              kTolerance);
  }
  EXPECT_EQ(count, 6);
}

TEST(Sst2Mini, ClassLogitsAgree) {
  const auto path = shared_path("models/distilbert-sst2-mini");
  if (path.empty()) GTEST_SKIP() << "models/distilbert-sst2-mini is not in ASSAY_SHARED";
  const auto model = load_model(path, "fp32", 0);
  EXPECT_EQ(model->config().labels, (std::vector<std::string>{"NEGATIVE", "POSITIVE"}));
  const Golden golden(golden_model("sst2_mini") / "golden.safetensors");
  int count = 0;
  for (; golden.has(fmt::format("seq{}.ids", count)); ++count) {
    const Tokens ids = golden.tokens(fmt::format("seq{}.ids", count));
    const engine::Sequence sequence{ids, 0};
    EXPECT_LE(disagreement(copy(model->classify({&sequence, 1})),
                           golden.values(fmt::format("seq{}.logits", count))),
              kTolerance);
  }
  EXPECT_EQ(count, 20);
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
}

}  // namespace
}  // namespace assay::testing
