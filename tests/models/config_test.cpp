#include "models/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/write_model.h"

namespace assay::models {
namespace {

using kernels::cpu::UnaryFunction;
using testing::expect_error;
using testing::golden_config;

ModelConfig read(const Json& json) { return config_from_json(json, "config.json"); }

TEST(Config, LlamaWithTheKeysOfTransformers4) {
  const ModelConfig config = read(golden_config("llama_tied"));
  EXPECT_EQ(config.family, "llama");
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.head, HeadKind::language_model);
  EXPECT_TRUE(config.causal);
  EXPECT_TRUE(config.norm_first);
  EXPECT_TRUE(config.gated_mlp);
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(config.norm, NormKind::rms);
  EXPECT_EQ(config.position, PositionKind::rope);
  EXPECT_EQ(config.vocabulary, 301);
  EXPECT_EQ(config.hidden, 64);
  EXPECT_EQ(config.intermediate, 200);
  EXPECT_EQ(config.blocks, 2);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.max_positions, 160);
  EXPECT_EQ(config.norm_eps, 1e-5F);
  EXPECT_EQ(config.rope.theta, 10000.0F);
  EXPECT_EQ(config.activation, UnaryFunction::silu);
  EXPECT_EQ(config.bos_id, 0);
  EXPECT_EQ(config.eos_ids, std::vector<std::int64_t>{1});
}

TEST(Config, LlamaWithTheKeysOfTransformers5) {
  const ModelConfig config = read(golden_config("llama_untied"));
  EXPECT_FALSE(config.tied_head);
  EXPECT_EQ(config.head_dim, 20);
  EXPECT_EQ(config.kv_heads, 3);
  EXPECT_EQ(config.norm_eps, 1e-3F);
  EXPECT_EQ(config.rope.theta, 500000.0F);
}

TEST(Config, BertAndDistilBertHaveTheirOwnNames) {
  const ModelConfig bert = read(golden_config("bert_classifier"));
  EXPECT_EQ(bert.head, HeadKind::classifier);
  EXPECT_FALSE(bert.causal);
  EXPECT_FALSE(bert.norm_first);
  EXPECT_EQ(bert.norm_eps, 1e-12F);
  EXPECT_EQ(bert.token_types, 2);
  EXPECT_EQ(bert.head_activation, UnaryFunction::tanh);
  EXPECT_EQ(bert.labels, (std::vector<std::string>{"contradiction", "entailment", "neutral"}));

  const ModelConfig distilbert = read(golden_config("distilbert_classifier"));
  EXPECT_EQ(distilbert.hidden, 72);
  EXPECT_EQ(distilbert.intermediate, 136);
  EXPECT_EQ(distilbert.blocks, 3);
  EXPECT_EQ(distilbert.heads, 6);
  EXPECT_EQ(distilbert.token_types, 0);
  EXPECT_EQ(distilbert.norm_eps, 1e-12F);
  EXPECT_EQ(distilbert.head_activation, UnaryFunction::relu);
  EXPECT_EQ(distilbert.activation, UnaryFunction::gelu_erf);
  EXPECT_EQ(distilbert.labels, (std::vector<std::string>{"NEGATIVE", "POSITIVE"}));

  EXPECT_EQ(read(golden_config("bert_embedding")).head, HeadKind::pooled_embedding);
}

TEST(Config, LabelsHaveTransformersDefault) {
  Json json = golden_config("distilbert_classifier");
  json.erase("id2label");
  EXPECT_EQ(read(json).labels, (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
  json["num_labels"] = 3;
  EXPECT_EQ(read(json).labels.size(), 3U);
}

TEST(Config, EosMayBeAListAndBosMayBeMissing) {
  Json json = golden_config("llama_tied");
  json["eos_token_id"] = {1, 7};
  json["bos_token_id"] = nullptr;
  const ModelConfig config = read(json);
  EXPECT_EQ(config.eos_ids, (std::vector<std::int64_t>{1, 7}));
  EXPECT_EQ(config.bos_id, -1);
}

TEST(Config, WindowsByBlock) {
  EXPECT_TRUE(read(golden_config("llama_tied")).windows.empty());
  Json mistral = golden_config("mistral");
  EXPECT_EQ(read(mistral).windows, (std::vector<std::int64_t>{29, 29}));
  mistral["sliding_window"] = nullptr;
  EXPECT_TRUE(read(mistral).windows.empty());
  mistral.erase("sliding_window");
  EXPECT_EQ(read(mistral).windows, (std::vector<std::int64_t>{4096, 4096}));

  EXPECT_TRUE(read(golden_config("qwen2")).windows.empty());
  Json qwen = golden_config("qwen2_window");
  const std::vector<std::int64_t> expected{0, 24, 24};
  EXPECT_EQ(read(qwen).windows, expected);
  qwen.erase("layer_types");
  EXPECT_EQ(read(qwen).windows, expected);
  qwen["max_window_layers"] = 28;
  EXPECT_EQ(read(qwen).windows, (std::vector<std::int64_t>{0, 0, 0}));
}

TEST(Config, WhatTheFamilyFixes) {
  const ModelConfig qwen2 = read(golden_config("qwen2"));
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.output_bias);
  const ModelConfig qwen3 = read(golden_config("qwen3"));
  EXPECT_TRUE(qwen3.head_norms);
  EXPECT_FALSE(qwen3.attention_bias);
  EXPECT_EQ(qwen3.head_dim, 20);
  const ModelConfig phi3 = read(golden_config("phi3"));
  EXPECT_EQ(phi3.rotary_width, 12);
  EXPECT_EQ(phi3.head_dim, 20);
  Json narrow = golden_config("phi3");
  narrow["rope_parameters"]["partial_rotary_factor"] = 0.01;
  expect_error(ErrorCode::bad_data, {"config.json", "partial_rotary_factor", "0 of 20 columns"},
               [&] { (void)read(narrow); });
  const ModelConfig gpt2 = read(golden_config("gpt2"));
  EXPECT_EQ(gpt2.intermediate, 4 * 60);
  EXPECT_TRUE(gpt2.tied_head);
  EXPECT_EQ(gpt2.activation, UnaryFunction::gelu_tanh);
  const ModelConfig roberta = read(golden_config("roberta_classifier"));
  EXPECT_EQ(roberta.padding_id, 1);
  EXPECT_EQ(roberta.max_positions, 100);
  EXPECT_EQ(read(golden_config("bert_embedding")).padding_id, -1);
}

TEST(Config, GemmaScalesAndCaps) {
  const ModelConfig gemma2 = read(golden_config("gemma2"));
  EXPECT_EQ(gemma2.attention_soft_cap, 2.5F);
  EXPECT_EQ(gemma2.logit_soft_cap, 1.5F);
  EXPECT_FLOAT_EQ(gemma2.attention_scale, 1.0F / std::sqrt(24.0F));
  EXPECT_EQ(gemma2.embedding_scale, 8.0F);
  EXPECT_TRUE(gemma2.norm_offset);
  EXPECT_FALSE(gemma2.head_norms);
  EXPECT_EQ(gemma2.activation, UnaryFunction::gelu_tanh);
  EXPECT_EQ(gemma2.windows, (std::vector<std::int64_t>{27, 0, 27}));
  Json json = golden_config("gemma2");
  json["attn_logit_softcapping"] = nullptr;
  json.erase("final_logit_softcapping");
  json.erase("query_pre_attn_scalar");
  EXPECT_EQ(read(json).attention_soft_cap, 0.0F);
  EXPECT_EQ(read(json).logit_soft_cap, 30.0F);
  EXPECT_EQ(read(json).attention_scale, 1.0F / 16.0F);
}

/// Gemma 3 with the keys of transformers 4 says the same.
TEST(Config, RopeByKindOfBlock) {
  Json json = golden_config("gemma3");
  const auto expect_two = [&] {
    const ModelConfig config = read(json);
    EXPECT_EQ(config.rope.theta, 1e6F);
    EXPECT_EQ(config.rope.divisors, std::vector<float>(10, 8.0F));
    ASSERT_TRUE(config.local_rope.has_value());
    EXPECT_EQ(config.local_rope->theta, 10000.0F);
    EXPECT_TRUE(config.local_rope->divisors.empty());
    EXPECT_EQ(config.windows, (std::vector<std::int64_t>{27, 0, 27}));
    EXPECT_EQ(config.logit_soft_cap, 0.0F);
  };
  expect_two();
  json.erase("rope_parameters");
  json.erase("layer_types");
  json["sliding_window_pattern"] = 2;
  json["rope_theta"] = 1000000.0;
  json["rope_local_base_freq"] = 10000.0;
  json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8.0}};
  expect_two();
  json.erase("rope_local_base_freq");
  json.erase("rope_theta");
  expect_two();
  json.erase("sliding_window_pattern");
  EXPECT_EQ(read(json).windows, (std::vector<std::int64_t>{27, 27, 27}));

  const ModelConfig bert = read(golden_config("modernbert_embedding"));
  EXPECT_EQ(bert.rope.theta, 160000.0F);
  EXPECT_EQ(bert.local_rope->theta, 10000.0F);
  EXPECT_EQ(bert.windows, (std::vector<std::int64_t>{0, 10, 10, 0}));
  EXPECT_EQ(read(golden_config("modernbert_classifier")).windows, bert.windows);
  EXPECT_TRUE(read(golden_config("modernbert_classifier")).mean_classifier);
}

TEST(Config, YarnAndExperts) {
  const ModelConfig config = read(golden_config("gpt_oss"));
  EXPECT_EQ(config.experts.count, 5);
  EXPECT_EQ(config.experts.used, 2);
  EXPECT_EQ(config.experts.alpha, 1.702F);
  EXPECT_EQ(config.experts.limit, 7.0F);
  EXPECT_EQ(config.windows, (std::vector<std::int64_t>{27, 0}));
  EXPECT_FLOAT_EQ(config.rope.magnitude, 1.0F + 0.1F * std::log(8.0F));
  ASSERT_EQ(config.rope.divisors.size(), 8U);
  EXPECT_EQ(config.rope.divisors.front(), 1.0F);
  EXPECT_EQ(config.rope.divisors.back(), 8.0F);
  Json json = golden_config("gpt_oss");
  json["rope_parameters"]["attention_factor"] = 1.5;
  EXPECT_EQ(read(json).rope.magnitude, 1.5F);
  json["rope_parameters"].erase("attention_factor");
  json["rope_parameters"]["mscale"] = 2.0;
  json["rope_parameters"]["mscale_all_dim"] = 2.0;
  EXPECT_EQ(read(json).rope.magnitude, 1.0F);
}

struct BadConfig {
  std::string model;
  std::string key;
  Json value;  ///< discarded: the key is removed
  std::string message;
};

class BadConfigs : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigs, NameFileAndKey) {
  const BadConfig& bad = GetParam();
  Json json = golden_config(bad.model);
  if (bad.value.is_discarded()) {
    json.erase(bad.key);
  } else {
    json[bad.key] = bad.value;
  }
  expect_error(ErrorCode::bad_data, {"config.json", bad.key, bad.message},
               [&] { (void)read(json); });
}

const Json kRemoved(Json::value_t::discarded);

INSTANTIATE_TEST_SUITE_P(
    All, BadConfigs,
    ::testing::Values(
        BadConfig{"llama_tied", "model_type", kRemoved, "is missing"},
        BadConfig{"llama_tied", "model_type", "lama", "did you mean llama"},
        BadConfig{"llama_tied", "model_type", 3, "must be a text"},
        BadConfig{"llama_tied", "architectures", kRemoved, "is missing"},
        BadConfig{"llama_tied", "architectures", Json::array(), "a list of one name"},
        BadConfig{"llama_tied",
                  "architectures",
                  {"LlamaForTokenClassification"},
                  "known for llama are LlamaForCausalLM"},
        BadConfig{"llama_tied", "hidden_size", kRemoved, "is missing"},
        BadConfig{"llama_tied", "hidden_size", "64", "must be an integer"},
        BadConfig{"llama_tied", "hidden_size", 64.5, "must be an integer"},
        BadConfig{"llama_tied", "hidden_size", 0, "from 1"},
        BadConfig{"llama_tied", "vocab_size", 1e18, "must be an integer"},
        BadConfig{"llama_tied", "vocab_size", 18446744073709551615ULL, "must be an integer"},
        BadConfig{"llama_tied", "num_hidden_layers", 1000000, "from 1 to 4096"},
        BadConfig{"llama_tied", "num_attention_heads", -4, "from 1"},
        BadConfig{"llama_tied", "rms_norm_eps", -1.0, "from 0"},
        BadConfig{"llama_tied", "rope_theta", 0.0, "from 1"},
        BadConfig{"llama_tied", "hidden_act", "mish", "not implemented"},
        BadConfig{"llama_tied", "rope_scaling", {{"type", "linear"}}, "'factor' is missing"},
        BadConfig{"llama_tied", "rope_scaling", {{"type", "linear"}, {"factor", 0.5}}, "from 1"},
        BadConfig{"llama_tied", "rope_scaling", {{"rope_type", "llama3"}}, "'factor' is missing"},
        BadConfig{"llama_tied",
                  "rope_scaling",
                  {{"rope_type", "llama3"},
                   {"factor", 8},
                   {"low_freq_factor", 4},
                   {"high_freq_factor", 4},
                   {"original_max_position_embeddings", 64}},
                  "larger than low_freq_factor"},
        BadConfig{"llama_tied", "partial_rotary_factor", 0.5, "not implemented for llama"},
        BadConfig{"llama_untied", "rope_parameters", {{"rope_type", "dynamic"}}, "dynamic"},
        BadConfig{"llama_untied",
                  "rope_parameters",
                  {{"rope_type", "default"}, {"mrope_section", {1, 2}}},
                  "'mrope_section' is not known"},
        BadConfig{"llama_untied",
                  "rope_parameters",
                  {{"full_attention", {{"rope_type", "default"}}}},
                  "differs by layer"},
        BadConfig{"gemma3",
                  "rope_parameters",
                  {{"full_attention", nullptr}, {"chunked_attention", nullptr}},
                  "'chunked_attention' is not known"},
        BadConfig{"gemma3", "use_bidirectional_attention", true, "not implemented"},
        BadConfig{"gemma2", "query_pre_attn_scalar", 0, "from"},
        BadConfig{"gemma2", "sliding_window", nullptr, "is null"},
        BadConfig{"gpt_oss", "num_local_experts", 5000, "from 1 to 4096"},
        BadConfig{"gpt_oss", "num_experts_per_tok", 6, "from 1 to 5"},
        BadConfig{"gpt_oss", "attention_bias", false, "not implemented"},
        BadConfig{"modernbert_classifier", "classifier_pooling", "max", "not implemented"},
        BadConfig{"modernbert_classifier", "norm_bias", true, "not implemented"},
        BadConfig{"modernbert_classifier", "rope_scaling", {{"type", "linear"}}, "not implemented"},
        BadConfig{"llama_tied", "sliding_window", 4096, "not implemented"},
        BadConfig{"llama_tied", "use_sliding_window", true, "not implemented"},
        BadConfig{"llama_tied", "attn_logit_softcapping", 50.0, "not implemented"},
        BadConfig{"qwen3", "final_logit_softcapping", 30.0, "not implemented"},
        BadConfig{"llama_tied", "query_pre_attn_scalar", 144, "not implemented"},
        BadConfig{"llama_tied", "rope_local_base_freq", 10000, "not implemented"},
        BadConfig{"llama_tied",
                  "layer_types",
                  {"full_attention", "sliding_attention"},
                  "sliding_attention"},
        BadConfig{"llama_tied", "num_local_experts", 8, "not implemented"},
        BadConfig{"llama_tied", "logit_scale", 0.0625, "not implemented"},
        BadConfig{"llama_tied", "residual_multiplier", 0.22, "not implemented"},
        BadConfig{"llama_tied", "clip_qkv", 8.0, "not implemented"},
        BadConfig{"phi3", "qk_layernorm", true, "not implemented"},
        BadConfig{"llama_untied",
                  "rope_parameters",
                  {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}},
                  "partial"},
        BadConfig{"phi3", "rope_parameters", {{"rope_type", "longrope"}}, "longrope"},
        BadConfig{"qwen2_window", "layer_types", {"full_attention"}, "a list of 3 texts"},
        BadConfig{"qwen2_window",
                  "layer_types",
                  {"full_attention", "sliding_attention", "linear_attention"},
                  "linear_attention"},
        BadConfig{"mistral", "sliding_window", 0, "from 1"},
        BadConfig{"mistral", "attention_bias", true, "not implemented"},
        BadConfig{"gpt2", "scale_attn_by_inverse_layer_idx", true, "not implemented"},
        BadConfig{"gpt2", "n_embd", kRemoved, "is missing"},
        BadConfig{"roberta_classifier", "max_position_embeddings", 2, "leaves no position"},
        BadConfig{"llama_tied", "tie_word_embeddings", "yes", "true or false"},
        BadConfig{"llama_tied", "eos_token_id", 301, "ids of the vocabulary"},
        BadConfig{"bert_embedding", "position_embedding_type", "relative_key", "not implemented"},
        BadConfig{"bert_embedding", "is_decoder", true, "not implemented"},
        BadConfig{"bert_classifier", "id2label", {{"0", "a"}, {"2", "b"}}, "'1' is missing"},
        BadConfig{"distilbert_classifier", "dim", kRemoved, "is missing"},
        BadConfig{"distilbert_classifier", "pruned_heads", {{"1", {0, 2}}}, "not implemented"}));

TEST(Config, HeadsMustFit) {
  Json json = golden_config("llama_tied");
  json["num_attention_heads"] = 5;
  expect_error(ErrorCode::bad_data, {"config.json", "5 heads"}, [&] { (void)read(json); });
  json = golden_config("llama_tied");
  json["num_key_value_heads"] = 3;
  expect_error(ErrorCode::bad_data, {"config.json", "3 key/value heads"},
               [&] { (void)read(json); });
  json = golden_config("llama_tied");
  json["head_dim"] = 15;
  expect_error(ErrorCode::bad_data, {"config.json", "even head width"}, [&] { (void)read(json); });
  expect_error(ErrorCode::bad_data, {"config.json", "object"}, [] { (void)read(Json::array()); });
}

}  // namespace
}  // namespace assay::models
