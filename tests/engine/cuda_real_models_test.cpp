// The real models on a CUDA device: against transformers in fp32, against the CPU in every
// precision. Skipped, by name, where a model or a device is not there.
#include <gtest/gtest.h>

#include "engine/support.h"

namespace assay::testing {
namespace {

std::unique_ptr<engine::Model> load_there(const std::filesystem::path& path,
                                          const std::string& text, const std::string& device) {
  auto source = engine::ModelSource::open(path);
  auto plan = engine::make_plan(*source, recipe(text), {.device = device});
  if (!plan.supported()) return nullptr;
  return std::make_unique<engine::Model>(std::move(source), std::move(plan),
                                         engine::LoadOptions{.threads = 0});
}

class CudaRealModels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string& why = kernels::cuda::unavailable(); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(CudaRealModels, SmolLm2WritesWhatTransformersWrites) {
  const auto path = path_from("ASSAY_SMOLLM2");
  if (path.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 names no SmolLM2 GGUF file";
  const auto model = load_there(path, "fp32", "cuda");
  expect_smollm2_writes_as_transformers(*model);
}

/// Roundings add like a random walk (cuda_test.cpp): 4.5 steps of the type for two blocks,
/// sqrt(30 / 2) times that for thirty. The quantized weights are the same bits on both, so that no
/// more than that is between them; int8 activations add a step of 1/127 in each product.
TEST_F(CudaRealModels, SmolLm2IsThatOfTheCpu) {
  const auto path = path_from("ASSAY_SMOLLM2");
  if (path.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 names no SmolLM2 GGUF file";
  const double depth = std::sqrt(30.0 / 2);
  const double bf16 = 4.5 * 0x1p-8 * depth;
  const struct {
    const char* recipe;
    double allowed;
  } kCases[] = {{"fp32", kTolerance},
                {"fp16", 4.5 * 0x1p-11 * depth},
                {"bf16", bf16},
                {"int8", bf16 + 2.83 / 127 * depth},
                {"int8-weight-only", bf16},
                {"nf4", bf16},
                {"{precision: nf4, double_quant: true}", bf16},
                {"stored", bf16}};
  const Tokens ids =
      Golden(golden_model("smollm2") / "golden.safetensors").tokens("greedy0.prompt");
  for (const auto& [text, allowed] : kCases) {
    const auto there = load_there(path, text, "cuda");
    if (there == nullptr) continue;  // bf16 on a path that has none
    const auto here = load_there(path, text, "cpu");
    const double error = relative_error(all_logits(*there, ids), all_logits(*here, ids));
    EXPECT_LE(error, allowed) << text;
    EXPECT_EQ(precision::compare(there->plan(), there->ledger()), "") << text;
    RecordProperty(text, fmt::format("{:.1e}", error));
    fmt::print("SmolLM2 {}: {:.1e} of {:.1e}\n", text, error, allowed);
  }
}

TEST_F(CudaRealModels, TheClassifierIsThatOfTransformersAndOfTheCpu) {
  const auto path = shared_path("models/distilbert-sst2-mini");
  if (path.empty()) GTEST_SKIP() << "models/distilbert-sst2-mini is not in ASSAY_SHARED";
  const Golden golden(golden_model("sst2_mini") / "golden.safetensors");
  const auto logits = [&](engine::Model& model) {
    std::vector<float> all;
    for (int i = 0; golden.has(fmt::format("seq{}.ids", i)); ++i) {
      const Tokens ids = golden.tokens(fmt::format("seq{}.ids", i));
      const engine::Sequence sequence{ids, 0};
      const auto row = copy(model.classify({&sequence, 1}));
      all.insert(all.end(), row.begin(), row.end());
    }
    EXPECT_EQ(precision::compare(model.plan(), model.ledger()), "");
    return all;
  };
  std::vector<float> expected;
  for (int i = 0; golden.has(fmt::format("seq{}.logits", i)); ++i) {
    const auto row = golden.values(fmt::format("seq{}.logits", i));
    expected.insert(expected.end(), row.begin(), row.end());
  }
  EXPECT_EQ(expected.size(), 40U);
  EXPECT_LE(disagreement(logits(*load_there(path, "fp32", "cuda")), expected), kTolerance);
  const double bf16 = 4.5 * 0x1p-8 * std::sqrt(6.0 / 2);
  for (const char* text : {"fp16", "bf16", "int8-weight-only", "nf4", "int8"}) {
    const auto there = load_there(path, text, "cuda");
    if (there == nullptr) continue;
    const double allowed = bf16 + (std::string_view(text) == "int8" ? 2.83 / 127 * 1.74 : 0.0);
    const auto here = load_there(path, text, "cpu");
    EXPECT_LE(relative_error(logits(*there), logits(*here)), allowed) << text;
  }
}

}  // namespace
}  // namespace assay::testing
