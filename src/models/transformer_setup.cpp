#include "models/config_rope.h"
#include "models/transformer_impl.h"

namespace assay::models {

Transformer::Impl::Impl(ModelConfig c, Weights w, tensor::DType a)
    : config(std::move(c)), weights(std::move(w)), activations(a) {
  resolve();
  row.resize(static_cast<std::size_t>(std::max(config.hidden, config.kv_heads * config.head_dim)));
  sums.resize(static_cast<std::size_t>(config.hidden));
  if (config.position == PositionKind::rope) {
    inverse_frequencies = rope_frequencies(config.rope_theta, config.rotary_width);
    for (std::size_t i = 0; i < config.rope_divisors.size(); ++i) {
      inverse_frequencies[i] /= config.rope_divisors[i];
    }
  }
}

void Transformer::Impl::resolve() {
  token_table = &matrix("embeddings.token");
  if (config.position == PositionKind::learned) {
    position_table = &matrix("embeddings.position");
    type_table = find("embeddings.type");
    embedding_norm = norm_if_any("embeddings.norm");
  }
  for (std::int64_t i = 0; i < config.blocks; ++i) {
    const std::string prefix = fmt::format("blocks.{}.", i);
    blocks.push_back({.query = &matrix(prefix + "attention.query"),
                      .key = &matrix(prefix + "attention.key"),
                      .value = &matrix(prefix + "attention.value"),
                      .attention_output = &matrix(prefix + "attention.output"),
                      .gate = config.gated_mlp ? &matrix(prefix + "mlp.gate") : nullptr,
                      .up = &matrix(prefix + "mlp.up"),
                      .down = &matrix(prefix + "mlp.down"),
                      .query_norm = norm_if_any(prefix + "attention.query_norm"),
                      .key_norm = norm_if_any(prefix + "attention.key_norm"),
                      .attention_norm = norm(prefix + "attention.norm"),
                      .mlp_norm = norm(prefix + "mlp.norm")});
  }
  final_norm = norm_if_any("final_norm");
  head_dense = find("head.dense");
  head_output = find("head.output");
}

const ops::Linear* Transformer::Impl::find(const std::string& role) const {
  const auto it = weights.matrices.find(role);
  return it == weights.matrices.end() ? nullptr : &it->second;
}

const ops::Linear& Transformer::Impl::matrix(const std::string& role) const {
  const ops::Linear* layer = find(role);
  if (layer == nullptr) fail(ErrorCode::internal, "no weight was loaded for {}", role);
  return *layer;
}

Norm Transformer::Impl::norm_if_any(const std::string& role) const {
  return weights.vectors.contains(role) ? norm(role) : Norm{};
}

Norm Transformer::Impl::norm(const std::string& role) const {
  const auto weight = weights.vectors.find(role);
  if (weight == weights.vectors.end()) {
    fail(ErrorCode::internal, "no weight was loaded for {}", role);
  }
  const auto bias = weights.vectors.find(role + ".bias");
  Norm result{.weight = weight->second, .bias = {}};
  if (bias != weights.vectors.end()) result.bias = bias->second;
  return result;
}

}  // namespace assay::models
