#include <gtest/gtest.h>

#include <algorithm>

#include "models/config.h"
#include "models/write_model.h"

namespace assay::models {
namespace {

using precision::Encoding;
using precision::LayerClass;
using precision::LayerInfo;
using testing::expect_error;
using testing::golden_config;
using testing::golden_model;
using testing::RawTensors;

WeightMap map_of(const std::filesystem::path& folder) {
  const ModelConfig config =
      config_from_json(base::read_json(folder / "config.json"), "config.json");
  return map_weights(config, files::open_safetensors(folder / "model.safetensors"));
}

const WeightSpec& spec_of(const WeightMap& map, const std::string& role) {
  const auto it = std::find_if(map.weights.begin(), map.weights.end(),
                               [&](const WeightSpec& spec) { return spec.role == role; });
  if (it == map.weights.end()) throw std::runtime_error("no role " + role);
  return *it;
}

TEST(WeightMap, LlamaHasTransformersNamesInTheOrderOfExecution) {
  const WeightMap map = map_of(golden_model("llama_tied"));
  std::vector<std::string> names;
  for (const WeightSpec& spec : map.weights) {
    if (spec.matrix) names.push_back(spec.layer.name);
  }
  ASSERT_EQ(names.size(), 2U * 7U + 2U);
  EXPECT_EQ(names.front(), "model.embed_tokens");
  EXPECT_EQ(names[1], "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(names[7], "model.layers.0.mlp.down_proj");
  EXPECT_EQ(names[8], "model.layers.1.self_attn.q_proj");
  EXPECT_EQ(names.back(), "lm_head");
  EXPECT_TRUE(map.notices.empty());

  const LayerInfo& head = spec_of(map, "head.output").layer;
  EXPECT_EQ(head.tied_to, "model.embed_tokens");
  EXPECT_EQ(head.layer_class, LayerClass::head);
  EXPECT_EQ(head.rows, 301);
  EXPECT_EQ(head.cols, 64);
  EXPECT_EQ(head.source, Encoding::bf16);
  const LayerInfo& table = spec_of(map, "embeddings.token").layer;
  EXPECT_TRUE(table.lookup);
  EXPECT_EQ(table.layer_class, LayerClass::embeddings);
  const LayerInfo& key = spec_of(map, "blocks.1.attention.key").layer;
  EXPECT_EQ(key.block, 1);
  EXPECT_EQ(key.rows, 32);
  EXPECT_EQ(key.layer_class, LayerClass::attention);
  EXPECT_EQ(spec_of(map, "blocks.1.mlp.up").layer.layer_class, LayerClass::mlp);
}

TEST(WeightMap, EncoderNamesAndClasses) {
  const WeightMap embedding = map_of(golden_model("bert_embedding"));
  EXPECT_EQ(spec_of(embedding, "blocks.0.attention.query").layer.name,
            "encoder.layer.0.attention.self.query");
  ASSERT_EQ(embedding.notices.size(), 1U);  // BertModel's pooler is not part of the mean
  EXPECT_NE(embedding.notices[0].find("pooler.dense.weight"), std::string::npos);

  const WeightMap bert = map_of(golden_model("bert_classifier"));
  EXPECT_EQ(spec_of(bert, "blocks.0.attention.query").layer.name,
            "bert.encoder.layer.0.attention.self.query");
  const LayerInfo& pooler = spec_of(bert, "head.dense").layer;
  EXPECT_EQ(pooler.name, "bert.pooler.dense");
  EXPECT_EQ(pooler.layer_class, LayerClass::other);
  EXPECT_TRUE(pooler.quantizable);
  const LayerInfo& classifier = spec_of(bert, "head.output").layer;
  EXPECT_EQ(classifier.name, "classifier");
  EXPECT_FALSE(classifier.quantizable);
  EXPECT_EQ(classifier.rows, 3);

  const WeightMap distilbert = map_of(golden_model("distilbert_classifier"));
  EXPECT_EQ(spec_of(distilbert, "blocks.2.mlp.up").layer.name,
            "distilbert.transformer.layer.2.ffn.lin1");
  EXPECT_EQ(spec_of(distilbert, "head.dense").layer.name, "pre_classifier");
  EXPECT_TRUE(spec_of(distilbert, "head.dense").layer.quantizable);
  EXPECT_FALSE(spec_of(distilbert, "head.output").layer.quantizable);
}

/// The file's names with the backbone's prefix taken off or put on.
RawTensors renamed(const RawTensors& tensors, const std::string& from, const std::string& to) {
  RawTensors result;
  for (const auto& [name, tensor] : tensors) {
    const bool head = name.starts_with("classifier") || name.starts_with("lm_head");
    const bool takes = !head && name.starts_with(from);
    result[takes ? to + name.substr(from.size()) : name] = tensor;
  }
  return result;
}

TEST(WeightMap, PrefixInTheFileMayBeMissingOrAdded) {
  for (const auto& [model, from, to] :
       {std::tuple{"bert_classifier", "bert.", ""}, std::tuple{"bert_embedding", "", "bert."},
        std::tuple{"llama_untied", "model.", ""}}) {
    const testing::ScratchFolder folder;
    const auto tensors = testing::read_raw(golden_model(model) / "model.safetensors");
    const auto path = write_model(folder, golden_config(model), renamed(tensors, from, to));
    const WeightMap plain = map_of(golden_model(model));
    const WeightMap changed = map_of(path);
    ASSERT_EQ(plain.weights.size(), changed.weights.size());
    for (std::size_t i = 0; i < plain.weights.size(); ++i) {
      EXPECT_EQ(plain.weights[i].name, changed.weights[i].name) << model;
    }
  }
}

TEST(WeightMap, OldNamesOfLayerNorm) {
  const testing::ScratchFolder folder;
  RawTensors tensors = testing::read_raw(golden_model("bert_embedding") / "model.safetensors");
  const auto rename = [&](const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    ASSERT_FALSE(node.empty());
    node.key() = to;
    tensors.insert(std::move(node));
  };
  rename("embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma");
  rename("embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta");
  const WeightMap map = map_of(write_model(folder, golden_config("bert_embedding"), tensors));
  EXPECT_EQ(spec_of(map, "embeddings.norm").stored, "embeddings.LayerNorm.gamma");
  EXPECT_EQ(spec_of(map, "embeddings.norm").bias, "embeddings.LayerNorm.beta");
}

TEST(WeightMap, BadTensorsAreNamed) {
  const testing::ScratchFolder folder;
  const Json config = golden_config("llama_untied");
  const RawTensors good = testing::read_raw(golden_model("llama_untied") / "model.safetensors");
  const std::string name = "model.layers.1.mlp.up_proj.weight";

  RawTensors tensors = good;
  tensors.erase(name);
  expect_error(ErrorCode::bad_data, {"model.safetensors", name, "missing", "LlamaForCausalLM"},
               [&] { (void)map_of(write_model(folder, config, tensors)); });

  tensors = good;
  std::swap(tensors[name].shape[0], tensors[name].shape[1]);
  expect_error(ErrorCode::bad_data, {name, "[96, 72]", "[72, 96]"},
               [&] { (void)map_of(write_model(folder, config, tensors)); });

  tensors = good;
  tensors[name].type = "I16";
  expect_error(ErrorCode::bad_data, {name, "I16", "weight matrix"},
               [&] { (void)map_of(write_model(folder, config, tensors)); });

  Json claims_more = config;
  claims_more["num_hidden_layers"] = 3;
  expect_error(ErrorCode::bad_data, {"model.layers.2.input_layernorm.weight", "missing"},
               [&] { (void)map_of(write_model(folder, claims_more, good)); });

  Json with_bias = config;
  with_bias["attention_bias"] = true;
  expect_error(ErrorCode::bad_data, {"model.layers.0.self_attn.q_proj.bias", "missing"},
               [&] { (void)map_of(write_model(folder, with_bias, good)); });
}

}  // namespace
}  // namespace assay::models
