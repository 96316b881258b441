#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tasks/task.h"

namespace assay::tasks {
namespace {

std::unique_ptr<engine::Model> load(const std::string& name, const std::string& recipe) {
  const auto source = engine::ModelSource::open(std::string(ASSAY_GOLDEN_DIR) + "/models/" + name);
  auto plan = engine::make_plan(*source, precision::parse_recipe(recipe, recipe, "test"), {});
  return std::make_unique<engine::Model>(source, std::move(plan), engine::LoadOptions{});
}

/// Outputs kept in memory, as a baseline's process would send them.
class KeptOutputs : public BaselineOutputs {
 public:
  KeptOutputs(engine::Model& model, const FidelityInputs& inputs) {
    stream_outputs(model, inputs, [this](std::span<const float> output) {
      outputs.emplace_back(output.begin(), output.end());
    });
  }
  std::span<const float> next() override { return outputs.at(position_++); }
  std::vector<std::vector<float>> outputs;

 private:
  std::size_t position_ = 0;
};

std::vector<double> probabilities(const std::vector<float>& logits) {
  std::vector<double> p(logits.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(double{logits[i]});
  for (double& value : p) value /= sum;
  return p;
}

TEST(Fidelity, ABaselineAgainstItselfIsExactlyZero) {
  const auto model = load("llama_tied", "bf16");
  const auto inputs = default_fidelity_inputs(*model, 3, 10, 7);
  KeptOutputs kept(*model, inputs);
  EXPECT_EQ(kept.outputs.size(), 3U * 9U);
  const auto result = run_fidelity(*model, inputs, kept, {});
  EXPECT_EQ(result.metrics["kl_divergence"]["value"], 0.0);
  EXPECT_EQ(result.metrics["kl_divergence"]["max"], 0.0);
  EXPECT_EQ(result.metrics["top1_agreement"]["value"], 1.0);
  EXPECT_EQ(result.metrics["perplexity_ratio"]["value"], 1.0);
  EXPECT_EQ(result.items.size(), 27U);
}

TEST(Fidelity, DivergenceEqualsItsDefinition) {
  const auto base = load("llama_tied", "fp32");
  const auto other = load("llama_tied", "int8");
  const auto inputs = default_fidelity_inputs(*base, 2, 12, 1);
  KeptOutputs from_base(*base, inputs);
  const KeptOutputs from_other(*other, inputs);
  double sum = 0.0;
  for (std::size_t i = 0; i < from_base.outputs.size(); ++i) {
    const auto p = probabilities(from_base.outputs[i]);
    const auto q = probabilities(from_other.outputs[i]);
    for (std::size_t v = 0; v < p.size(); ++v) sum += p[v] * std::log(p[v] / q[v]);
  }
  const double expected = sum / double(from_base.outputs.size());
  ASSERT_GT(expected, 0.0);
  const auto result = run_fidelity(*other, inputs, from_base, {});
  EXPECT_NEAR(result.metrics["kl_divergence"]["value"].get<double>(), expected,
              1e-9 + expected * 1e-6);
}

TEST(Fidelity, SamplesDependOnTheSeedAlone) {
  const auto model = load("llama_tied", "fp32");
  const auto first = default_fidelity_inputs(*model, 2, 16, 3);
  EXPECT_EQ(first.sequences, default_fidelity_inputs(*model, 2, 16, 3).sequences);
  EXPECT_NE(first.sequences, default_fidelity_inputs(*model, 2, 16, 4).sequences);
  EXPECT_EQ(first.sequences[0].size(), 16U);
}

TEST(Fidelity, EncodersReportCosineAndFlips) {
  const auto base = load("distilbert_classifier", "fp32");
  const auto other = load("distilbert_classifier", "int8");
  const FidelityInputs inputs{.sequences = {{1, 5, 9}, {2, 7}, {3}}, .origin = "test"};
  KeptOutputs kept(*base, inputs);
  const auto result = run_fidelity(*other, inputs, kept, {});
  EXPECT_GT(result.metrics["cosine"]["value"].get<double>(), 0.98);
  EXPECT_LT(result.metrics["cosine"]["min"].get<double>(), 1.0);
  EXPECT_GT(result.metrics["logit_error"]["value"].get<double>(), 0.0);
}

TEST(Fidelity, ClassifiersCompareDistributionsOverLabels) {
  const auto base = load("distilbert_classifier", "fp32");
  const auto other = load("distilbert_classifier", "nf4");
  const FidelityInputs inputs{.sequences = {{1, 5, 9}, {2, 7}, {3}, {8, 4, 11, 2}},
                              .origin = "test"};
  KeptOutputs kept(*base, inputs);
  const KeptOutputs ours(*other, inputs);
  double divergence = 0.0;
  double error = 0.0;
  int flips = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto p = probabilities(kept.outputs[i]);
    const auto q = probabilities(ours.outputs[i]);
    double worst = 0.0;
    for (std::size_t c = 0; c < p.size(); ++c) {
      divergence += p[c] * std::log(p[c] / q[c]) / 4;
      worst = std::max(worst, std::abs(double{kept.outputs[i][c]} - ours.outputs[i][c]));
    }
    error += worst / 4;
    flips += std::ranges::max_element(p) - p.begin() != std::ranges::max_element(q) - q.begin();
  }
  const auto result = run_fidelity(*other, inputs, kept, {});
  const Json& metrics = result.metrics;
  ASSERT_GT(divergence, 0.0);
  EXPECT_NEAR(metrics.at("kl_divergence").at("value").get<double>(), divergence,
              1e-9 + 1e-6 * divergence);
  EXPECT_NEAR(metrics.at("logit_error").at("value").get<double>(), error, 1e-9);
  EXPECT_EQ(metrics.at("label_flips").at("value"), flips);
  EXPECT_EQ(metrics.at("label_flips").at("n"), 4);
  EXPECT_EQ(metrics.at("top1_agreement").at("value"), 1.0 - flips / 4.0);
  EXPECT_EQ(result.items.size(), 4U);
}

TEST(Fidelity, EmbeddingsHaveNoLabels) {
  const auto base = load("bert_embedding", "fp32");
  const FidelityInputs inputs{.sequences = {{1, 5, 9}, {2, 7}}, .origin = "test"};
  KeptOutputs kept(*base, inputs);
  const auto result = run_fidelity(*load("bert_embedding", "int8"), inputs, kept, {});
  EXPECT_TRUE(result.metrics.contains("output_error"));
  EXPECT_FALSE(result.metrics.contains("kl_divergence"));
  EXPECT_FALSE(result.metrics.contains("label_flips"));
}

}  // namespace
}  // namespace assay::tasks
