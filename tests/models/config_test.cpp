#include "models/config.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(config.rope_theta, 10000.0F);
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
  EXPECT_EQ(config.rope_theta, 500000.0F);
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
        BadConfig{"llama_untied", "rope_parameters", {{"rope_type", "yarn"}}, "yarn"},
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
