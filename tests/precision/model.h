#pragma once

#include <string>
#include <vector>

#include "precision/recipe.h"

// Layer lists of two models, as the families give them.
namespace assay::precision {

inline LayerInfo layer(std::string name, LayerClass c, int block = -1) {
  LayerInfo info;
  info.name = std::move(name);
  info.layer_class = c;
  info.block = block;
  info.rows = 64;
  info.cols = 64;
  info.lookup = c == LayerClass::embeddings;
  return info;
}

/// A Llama-family decoder; `tied`: the head shares its weight with the embeddings.
inline std::vector<LayerInfo> llama(int blocks, bool tied = true) {
  std::vector<LayerInfo> model = {layer("model.embed_tokens", LayerClass::embeddings)};
  for (int b = 0; b < blocks; ++b) {
    const std::string prefix = "model.layers." + std::to_string(b) + ".";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      model.push_back(layer(prefix + "self_attn." + name, LayerClass::attention, b));
    }
    for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
      model.push_back(layer(prefix + "mlp." + name, LayerClass::mlp, b));
    }
  }
  model.push_back(layer("lm_head", LayerClass::head));
  if (tied) model.back().tied_to = "model.embed_tokens";
  return model;
}

/// DistilBERT with a classifier of two layers.
inline std::vector<LayerInfo> distilbert(int blocks) {
  std::vector<LayerInfo> model = {
      layer("distilbert.embeddings.word_embeddings", LayerClass::embeddings),
      layer("distilbert.embeddings.position_embeddings", LayerClass::embeddings)};
  for (int b = 0; b < blocks; ++b) {
    const std::string prefix = "distilbert.transformer.layer." + std::to_string(b) + ".";
    for (const char* name : {"q_lin", "k_lin", "v_lin", "out_lin"}) {
      model.push_back(layer(prefix + "attention." + name, LayerClass::attention, b));
    }
    for (const char* name : {"lin1", "lin2"}) {
      model.push_back(layer(prefix + "ffn." + name, LayerClass::mlp, b));
    }
  }
  model.push_back(layer("pre_classifier", LayerClass::other));
  model.push_back(layer("classifier", LayerClass::head));
  model.back().quantizable = false;
  return model;
}

}  // namespace assay::precision
