// Plans: what every recipe promises on a model, and that what ran is what was promised.
#include <gtest/gtest.h>

#include "engine/gguf_model.h"
#include "engine/planner.h"

namespace assay::testing {
namespace {

using engine::make_plan;
using engine::ModelSource;
using precision::Encoding;

const precision::PlanEntry& entry(const precision::Plan& plan, const std::string& layer) {
  for (const precision::PlanEntry& e : plan.entries) {
    if (e.layer.name == layer) return e;
  }
  throw std::runtime_error("no layer " + layer);
}

struct RecipeCase {
  std::string model;
  std::string recipe;
  double tolerance;  ///< relative error against fp32
};

class Recipes : public ::testing::TestWithParam<RecipeCase> {
 protected:
  static std::vector<float> outputs(engine::Model& model) {
    Tokens ids;
    for (int i = 0; i < 40; ++i) ids.push_back(2 + i * 7 % 120);
    if (model.config().causal) return all_logits(model, ids);
    const engine::Sequence sequence{ids, 0};
    return copy(model.classify({&sequence, 1}));
  }
};

TEST_P(Recipes, RunAsPlannedNearFp32) {
  const RecipeCase& c = GetParam();
  const auto model = load_model(golden_model(c.model), c.recipe, 2);
  const std::vector<float> got = outputs(*model);
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
  const std::vector<float> reference = outputs(*load_model(golden_model(c.model), "fp32", 2));
  const double distance = relative_error(got, reference);
  EXPECT_LE(distance, c.tolerance);
  EXPECT_GT(distance, 0.0) << "nothing was rounded";
}

INSTANTIATE_TEST_SUITE_P(
    All, Recipes,
    ::testing::Values(
        RecipeCase{"llama_untied", "bf16", 0.05}, RecipeCase{"llama_untied", "fp16", 0.01},
        RecipeCase{"llama_untied", "int8", 0.1},
        RecipeCase{"llama_untied", "{precision: int8, threshold: 0}", 0.1},
        RecipeCase{"llama_untied", "int8-weight-only", 0.1}, RecipeCase{"llama_untied", "nf4", 0.5},
        RecipeCase{"llama_untied", "{precision: nf4, double_quant: true}", 0.5},
        RecipeCase{"llama_untied", "fp4", 0.8},
        RecipeCase{"llama_untied", "{default: bf16, rules: [{match: mlp, precision: int8}]}", 0.1},
        RecipeCase{"llama_untied", "{default: bf16, rules: [{match: attention, precision: nf4}]}",
                   0.5},
        RecipeCase{"llama_tied",
                   "{default: bf16, rules: [{match: embeddings, precision: int8-weight-only}]}",
                   0.1},
        RecipeCase{"llama_tied", "{default: fp32, kv: bf16}", 0.02},
        RecipeCase{"llama_tied", "{default: nf4, activations: fp32}", 0.5},
        RecipeCase{"llama_single_kv", "{default: int8, sixteen_bit: fp16}", 0.1},
        RecipeCase{"bert_classifier", "bf16", 0.05}, RecipeCase{"bert_classifier", "int8", 0.1},
        RecipeCase{"distilbert_classifier", "fp16", 0.01},
        RecipeCase{"distilbert_classifier", "nf4", 0.5}));

/// The same model as a file whose quantized weights hold what their codes stand for.
class DecodedWeights : public ::testing::TestWithParam<std::string> {};

TEST_P(DecodedWeights, GiveTheSameLogitsInFp32) {
  const precision::EncodingInfo& info =
      *precision::find_encoding(GetParam() == "int8-weight-only" ? "int8" : GetParam());
  const auto path = golden_model("llama_single_kv");
  RawTensors tensors = read_raw(path / "model.safetensors");
  for (auto& [name, tensor] : tensors) {
    if (!name.ends_with("_proj.weight")) continue;
    std::vector<float> values(tensor.bytes.size() / 4);
    std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    const std::int64_t cols = tensor.shape[1];
    const auto encoded = info.encode(values, tensor.shape[0], cols);
    for (std::int64_t r = 0; r < tensor.shape[0]; ++r) {
      info.decode_row(encoded, r, std::span(values).subspan(r * cols, cols));
    }
    tensor = floats(tensor.shape, values);
  }
  const ScratchFolder folder;
  const Tokens ids{3, 77, 20, 5, 5, 130, 41};
  const auto decoded =
      load_model(write_model(folder, golden_config("llama_single_kv"), tensors), "fp32", 2);
  const auto quantized = load_model(
      path, "{default: {precision: " + GetParam() +
                ", compute: fp32}, activations: fp32, rules: [{match: head, precision: fp32}, "
                "{match: embeddings, precision: fp32}]}");
  EXPECT_LE(disagreement(all_logits(*quantized, ids), all_logits(*decoded, ids)), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, DecodedWeights, ::testing::Values("int8-weight-only", "nf4", "fp4"));

TEST(Plans, ClassesAndExceptionsOfAQuantizedRecipe) {
  const auto source = ModelSource::open(golden_model("distilbert_classifier"));
  const precision::Plan plan = make_plan(*source, recipe("int8"), {});
  EXPECT_TRUE(plan.supported()) << plan.reasons();
  EXPECT_EQ(plan.recipe, "int8");
  EXPECT_EQ(plan.source, "fp16");
  EXPECT_FALSE(plan.source_quantized);
  EXPECT_EQ(plan.activations, tensor::DType::bf16);
  EXPECT_EQ(entry(plan, "distilbert.transformer.layer.0.ffn.lin1").kernel.encoding, Encoding::int8);
  EXPECT_EQ(entry(plan, "pre_classifier").kernel.encoding, Encoding::int8);
  EXPECT_EQ(entry(plan, "classifier").kernel.encoding, Encoding::bf16);
  EXPECT_EQ(entry(plan, "distilbert.embeddings.word_embeddings").kernel.encoding, Encoding::bf16);
}

TEST(Plans, RowsOfAQuantizedFileSaySo) {
  auto gguf = GgufModel::golden("llama_untied");
  gguf.encoding = Encoding::q8_0;
  gguf.table = Encoding::q8_0;
  // Only widths that are whole blocks of 32 can be stored so; the MLP of this model is 72 wide.
  const ScratchFolder folder;
  EXPECT_THROW((void)gguf.bytes(), Error);
  gguf.encoding = Encoding::f16;
  GgufWriter header = gguf.header();
  const auto path = folder.write("m.gguf", gguf.bytes(std::move(header)));
  const auto source = ModelSource::open(path);
  const precision::Plan stored = make_plan(*source, recipe("stored"), {});
  EXPECT_EQ(stored.recipe, "fp16 (stored)");
  EXPECT_EQ(entry(stored, "model.embed_tokens").kernel.encoding, Encoding::q8_0);
  EXPECT_EQ(entry(stored, "model.layers.0.mlp.up_proj").kernel.encoding, Encoding::f16);
}

TEST(Plans, AnEncodingThatDoesNotFitIsAReasonAndNoException) {
  const auto source = ModelSource::open(golden_model("llama_untied"));
  const precision::Plan plan = make_plan(*source, recipe("q8_0"), {});
  EXPECT_FALSE(plan.supported());
  EXPECT_NE(entry(plan, "model.layers.0.mlp.down_proj").reason, "");
  expect_error(ErrorCode::unsupported, {"llama_untied", "q8_0"},
               [&] { const engine::Model model(source, plan, {.threads = 1, .progress = {}}); });
}

TEST(Plans, ALookupHasNoActivationsToQuantize) {
  const auto source = ModelSource::open(golden_model("llama_tied"));
  const auto plan = make_plan(
      *source, recipe("{default: bf16, rules: [{match: embeddings, precision: int8}]}"), {});
  EXPECT_FALSE(plan.supported());
  EXPECT_NE(entry(plan, "model.embed_tokens").reason.find("int8-weight-only"), std::string::npos);
}

TEST(Plans, ATiedWeightIsPackedOnce) {
  for (const char* text :
       {"bf16", "fp32",
        "{default: bf16, rules: [{match: embeddings, precision: int8-weight-only}]}",
        "{default: bf16, rules: [{match: head, precision: int8}]}",
        "{default: bf16, rules: [{match: head, precision: {precision: nf4, double_quant: "
        "true}}]}"}) {
    const auto model = load_model(golden_model("llama_tied"), text);
    const auto& matrices = model->weights_for_test().matrices;
    EXPECT_EQ(matrices.at("head.output").storage(), matrices.at("embeddings.token").storage())
        << text;
    (void)all_logits(*model, {3, 4, 5});
    EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "") << text;
  }
}

TEST(Plans, WeightBytesAreThoseOfTheEncodings) {
  const auto fp32 = load_model(golden_model("llama_untied"), "fp32");
  const auto bf16 = load_model(golden_model("llama_untied"), "bf16");
  const std::int64_t parameters = fp32->source().parameters();
  EXPECT_GE(fp32->total_weight_bytes(), 4 * parameters);
  EXPECT_LT(fp32->total_weight_bytes(), 6 * parameters);  // panels are padded
  EXPECT_LT(bf16->total_weight_bytes(), 0.6 * fp32->total_weight_bytes());
  EXPECT_TRUE(bf16->weight_bytes().contains("bf16"));
  EXPECT_TRUE(bf16->weight_bytes().contains("fp32"));  // norms
}

TEST(Plans, ASwappedKernelIsSeen) {
  const auto model = load_model(golden_model("llama_untied"), "bf16");
  ops::Linear& layer = model->weights_for_test().matrices.at("blocks.1.mlp.up");
  const auto& planned = entry(model->plan(), "model.layers.1.mlp.up_proj").kernel;
  const kernels::cpu::LinearKernel* other = nullptr;
  for (const kernels::cpu::LinearKernel& kernel : kernels::cpu::linear_kernels()) {
    const auto& id = kernel.identity;
    if (id.encoding == planned.encoding && id.activation == planned.activation &&
        id.path == "portable" && id.kernel != planned.kernel) {
      other = &kernel;
    }
  }
  ASSERT_NE(other, nullptr) << "no second kernel of this layout";
  layer.swap_kernel_for_test(*other);
  (void)all_logits(*model, {3, 4, 5});
  const std::string difference = precision::compare(model->plan(), model->ledger());
  EXPECT_NE(difference.find("model.layers.1.mlp.up_proj"), std::string::npos) << difference;
}

TEST(Plans, ARecipeThatNamesNoLayerIsAnError) {
  const auto source = ModelSource::open(golden_model("llama_tied"));
  expect_error(ErrorCode::usage, {"nothing_like_this"}, [&] {
    (void)make_plan(*source,
                    recipe("{default: bf16, rules: [{match: nothing_like_this, precision: int8}]}"),
                    {});
  });
}

}  // namespace
}  // namespace assay::testing
