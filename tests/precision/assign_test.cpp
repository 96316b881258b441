#include <gtest/gtest.h>

#include "base/yaml.h"
#include "precision/model.h"
#include "precision/notices.h"
#include "precision/recipe.h"

namespace assay::precision {
namespace {

using tensor::DType;

Assignment assigned(const std::string& yaml, const std::vector<LayerInfo>& model,
                    DType sixteen_bit = DType::bf16) {
  return assign(parse_recipe("r", base::parse_yaml(yaml, "test").value, "test"), model,
                sixteen_bit);
}

std::string error_of(const std::string& yaml, const std::vector<LayerInfo>& model) {
  try {
    (void)assigned(yaml, model);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    return error.what();
  }
  return "no error";
}

std::string precision_of(const Assignment& a, const std::vector<LayerInfo>& model,
                         const std::string& name) {
  for (std::size_t i = 0; i < model.size(); ++i) {
    if (model[i].name == name) return a.layers[i].name;
  }
  return "no such layer";
}

int count_of(const Assignment& a, const std::string& precision) {
  int count = 0;
  for (const Precision& p : a.layers) count += p.name == precision ? 1 : 0;
  return count;
}

TEST(Assign, ClassesSelectTheirLayers) {
  const auto model = llama(4);
  const Assignment a = assigned("{default: bf16, rules: [{match: mlp, precision: int8}]}", model);
  EXPECT_EQ(count_of(a, "int8"), 12);
  EXPECT_EQ(precision_of(a, model, "model.layers.3.mlp.gate_proj"), "int8");
  EXPECT_EQ(precision_of(a, model, "model.layers.3.self_attn.q_proj"), "bf16");
  EXPECT_EQ(
      count_of(assigned("{default: bf16, rules: [{match: attention, precision: int8}]}", model),
               "int8"),
      16);
  const auto encoder = distilbert(6);
  EXPECT_EQ(count_of(assigned("{default: bf16, rules: [{match: mlp, precision: int8}]}", encoder),
                     "int8"),
            12);
}

TEST(Assign, PatternsAndTheLastMatchWins) {
  const auto model = llama(3);
  const Assignment a = assigned(
      "default: bf16\n"
      "rules:\n"
      "  - {match: mlp, precision: int8}\n"
      "  - {match: '*.down_proj', precision: nf4}\n"
      "  - {match: 're:model\\.layers\\.[12]\\..*down', precision: fp4}\n"
      "  - {match: model.layers.2.mlp.down_proj, precision: fp16}\n",
      model);
  EXPECT_EQ(precision_of(a, model, "model.layers.0.mlp.up_proj"), "int8");
  EXPECT_EQ(precision_of(a, model, "model.layers.0.mlp.down_proj"), "nf4");
  EXPECT_EQ(precision_of(a, model, "model.layers.1.mlp.down_proj"), "fp4");
  EXPECT_EQ(precision_of(a, model, "model.layers.2.mlp.down_proj"), "fp16");
}

TEST(Assign, RegexesMatchFromTheStart) {
  const auto model = llama(2);
  EXPECT_NE(error_of("{default: bf16, rules: [{match: 're:down_proj', precision: int8}]}", model)
                .find("did you mean down_proj"),
            std::string::npos);
  // Like Python's re.match, a pattern need not reach the end.
  EXPECT_EQ(
      count_of(assigned("{default: bf16, rules: [{match: 're:.*down', precision: int8}]}", model),
               "int8"),
      2);
  EXPECT_EQ(
      count_of(assigned("{default: bf16, rules: [{match: 're:.*mlp\\.(?!down)', precision: int8}]}",
                        model),
               "int8"),
      4);
}

TEST(Assign, ARegexThatExplodesIsStopped) {
  std::vector<LayerInfo> model = llama(1);
  model.push_back(layer(std::string(200, 'a') + "!", LayerClass::other));
  EXPECT_NE(error_of("{default: bf16, rules: [{match: 're:(a+)+$', precision: int8}]}", model)
                .find("too long"),
            std::string::npos);
}

TEST(Assign, BlockPositions) {
  const auto model = llama(30);
  const Assignment sandwich =
      assigned("{default: int8, rules: [{layers: \"first 5, last 5\", precision: bf16}]}", model);
  EXPECT_EQ(count_of(sandwich, "int8"), 20 * 7);
  EXPECT_EQ(precision_of(sandwich, model, "model.layers.4.mlp.up_proj"), "bf16");
  EXPECT_EQ(precision_of(sandwich, model, "model.layers.5.mlp.up_proj"), "int8");
  EXPECT_EQ(precision_of(sandwich, model, "model.layers.24.mlp.up_proj"), "int8");
  EXPECT_EQ(precision_of(sandwich, model, "model.layers.25.mlp.up_proj"), "bf16");
  EXPECT_TRUE(sandwich.notices.empty());
  const Assignment ranges =
      assigned("{default: bf16, rules: [{layers: \"0-3,7\", precision: int8}]}", model);
  EXPECT_EQ(count_of(ranges, "int8"), 5 * 7);
  EXPECT_EQ(
      count_of(assigned("{default: bf16, rules: [{layers: 29, precision: int8}]}", model), "int8"),
      7);
}

TEST(Assign, FirstAndLastOfSixIsAnError) {
  for (const auto& model : {llama(6), distilbert(6)}) {
    EXPECT_NE(
        error_of("{default: int8, rules: [{layers: \"first 5, last 5\", precision: bf16}]}", model)
            .find("quantizes no layer"),
        std::string::npos);
  }
}

TEST(Assign, OverlapIsReported) {
  const Assignment a = assigned(
      "{default: int8, rules: [{layers: \"first 2, last 2\", precision: bf16},"
      "{match: mlp, precision: nf4}]}",
      llama(3));
  EXPECT_TRUE(mentions(a.notices, "'first 2,last 2' overlaps in 1 of the model's 3 blocks"));
  EXPECT_TRUE(mentions(
      assigned("{default: bf16, rules: [{layers: first 9, precision: int8}]}", llama(3)).notices,
      "'first 9' exceeds the model's 3 blocks"));
}

TEST(Assign, ARuleWithoutLayersIsAnError) {
  const auto model = llama(3);
  const auto error = [&](const std::string& match) {
    return error_of("{default: bf16, rules: [{match: '" + match + "', precision: int8}]}", model);
  };
  EXPECT_NE(error("mpl").find("did you mean mlp"), std::string::npos);
  EXPECT_NE(error("*.dwn_proj").find("did you mean down_proj"), std::string::npos);
  EXPECT_NE(error("re:.*q_porj").find("did you mean q_proj"), std::string::npos);
  EXPECT_NE(error("model.layers.0.mlp.downproj").find("model.layers.0.mlp.down_proj"),
            std::string::npos);
  EXPECT_NE(error("zzzzzzzzzz").find("the model has attention, embeddings, head, mlp"),
            std::string::npos);
  EXPECT_NE(error_of("{default: bf16, rules: [{layers: '7-9', precision: int8}]}", model)
                .find("the model has 3 blocks"),
            std::string::npos);
}

TEST(Assign, QuantizedDefaultsKeepEmbeddingsAndHead) {
  for (const char* name : {"int8", "nf4", "fp4", "int8-weight-only", "q8_0"}) {
    const auto model = llama(2);
    const Assignment a = assigned(name, model, DType::f16);
    EXPECT_EQ(precision_of(a, model, "model.embed_tokens"), "fp16") << name;
    EXPECT_EQ(precision_of(a, model, "lm_head"), "fp16") << name;
    EXPECT_EQ(count_of(a, name), 14) << name;
    EXPECT_EQ(a.activations, DType::f16);
    EXPECT_EQ(a.kv, DType::f16);
    for (const Precision& p : a.layers) EXPECT_EQ(p.compute, DType::f16);
  }
  const auto encoder = distilbert(6);
  const Assignment a = assigned("int8", encoder);
  EXPECT_EQ(precision_of(a, encoder, "pre_classifier"), "int8");
  EXPECT_EQ(precision_of(a, encoder, "classifier"), "bf16");
  EXPECT_EQ(precision_of(a, encoder, "distilbert.embeddings.word_embeddings"), "bf16");
}

TEST(Assign, ARuleMayQuantizeEmbeddings) {
  const auto model = llama(2, false);
  const Assignment a =
      assigned("{default: bf16, rules: [{match: embeddings, precision: int8-weight-only}]}", model);
  EXPECT_EQ(precision_of(a, model, "model.embed_tokens"), "int8-weight-only");
  EXPECT_EQ(precision_of(a, model, "lm_head"), "bf16");
}

TEST(Assign, TiedLayersFollowTheNamedOne) {
  const auto model = llama(2);
  const Assignment by_table =
      assigned("{default: nf4, rules: [{match: embeddings, precision: int8-weight-only}]}", model);
  EXPECT_EQ(precision_of(by_table, model, "lm_head"), "int8-weight-only");
  EXPECT_TRUE(mentions(by_table.notices, "'lm_head' shares its weight with 'model.embed_tokens'"));
  const Assignment by_head =
      assigned("{default: bf16, rules: [{match: head, precision: int8}]}", model);
  EXPECT_EQ(precision_of(by_head, model, "lm_head"), "int8");
  // The table is looked up: the same weight, no activations.
  EXPECT_EQ(by_head.layers.front().name, "int8-weight-only");
  EXPECT_EQ(by_head.layers.front().weight, Encoding::int8);
  EXPECT_EQ(by_head.layers.front().activation, Activation::native);
  EXPECT_NE(error_of("{default: bf16, rules: [{match: head, precision: int8},"
                     "{match: embeddings, precision: nf4}]}",
                     model)
                .find("share one weight but get int8 and nf4"),
            std::string::npos);
}

TEST(Assign, StoredRunsEveryLayerAsTheFileHasIt) {
  auto model = llama(2);
  for (LayerInfo& l : model) l.source = Encoding::q4_1;
  model.front().source = model.back().source = Encoding::q8_0;
  const Assignment a = assigned("stored", model);
  EXPECT_EQ(a.layers.front().weight, Encoding::q8_0);
  EXPECT_EQ(a.layers.at(1).weight, Encoding::q4_1);
  EXPECT_EQ(a.layers.at(1).compute, DType::bf16);
  EXPECT_TRUE(a.layers.at(1).quantized);
  EXPECT_EQ(a.activations, DType::bf16);
  for (LayerInfo& l : model) l.source = Encoding::f16;
  const Assignment plain = assigned("stored", model);
  EXPECT_EQ(plain.layers.at(1).compute, DType::f16);
  EXPECT_FALSE(plain.layers.at(1).quantized);
  EXPECT_EQ(plain.activations, DType::f16);
  model.at(3).source = Encoding::f32;
  EXPECT_EQ(assigned("stored", model).activations, DType::f32);
}

TEST(Assign, SixteenBitAndCompute) {
  const auto model = llama(1);
  // `compute` of the default is the 16-bit type beside it.
  const Assignment n1 = assigned("{default: {precision: nf4, compute: bf16}}", model, DType::f16);
  EXPECT_EQ(n1.activations, DType::bf16);
  EXPECT_EQ(precision_of(n1, model, "lm_head"), "bf16");
  // An fp32 product beside 16-bit layers, as BitsAndBytesConfig's default has it.
  const Assignment wide = assigned("{default: {precision: nf4, compute: fp32}}", model, DType::f16);
  EXPECT_EQ(wide.layers.at(1).compute, DType::f32);
  EXPECT_EQ(wide.activations, DType::f16);
  // A plain 16-bit default fixes the type for its quantized rules.
  const Assignment mixed =
      assigned("{default: bf16, rules: [{match: mlp, precision: int8}]}", model, DType::f16);
  EXPECT_EQ(mixed.layers.at(5).compute, DType::bf16);
  const Assignment fixed = assigned("{default: int8, sixteen_bit: fp16}", model, DType::bf16);
  EXPECT_EQ(fixed.layers.at(1).compute, DType::f16);
  EXPECT_EQ(fixed.activations, DType::f16);
  const Assignment kv = assigned("{default: bf16, activations: fp32, kv: fp16}", model);
  EXPECT_EQ(kv.activations, DType::f32);
  EXPECT_EQ(kv.kv, DType::f16);
  EXPECT_EQ(assigned("fp32", model).activations, DType::f32);
}

TEST(Assign, ARuleThatLaterRulesCoverIsNoticed) {
  const Assignment a = assigned(
      "{default: bf16, rules: [{match: mlp, precision: nf4}, {match: mlp, precision: int8}]}",
      llama(2));
  EXPECT_TRUE(mentions(a.notices, "rule 1 (match: mlp) has no effect"));
  EXPECT_NE(error_of("{default: bf16, rules: [{match: mlp, precision: int8},"
                     "{match: '*', precision: bf16}]}",
                     llama(2))
                .find("quantizes no layer"),
            std::string::npos);
}

}  // namespace
}  // namespace assay::precision
