#include <algorithm>

#include "models/config_rope.h"
#include "models/transformer_impl.h"

namespace assay::models {
namespace {

std::vector<float> frequencies_of(const Rope& rope, std::int64_t width) {
  std::vector<float> frequencies = rope_frequencies(rope.theta, width);
  for (std::size_t i = 0; i < rope.divisors.size(); ++i) frequencies[i] /= rope.divisors[i];
  return frequencies;
}

}  // namespace

Transformer::Impl::Impl(ModelConfig c, Weights w, tensor::DType a, std::vector<tensor::Device> d,
                        ops::Context& context)
    : config(std::move(c)), weights(std::move(w)), activations(a), devices(std::move(d)) {
  if (devices.empty()) devices.resize(static_cast<std::size_t>(config.blocks));
  resolve();
  // The references hold the factor in the activation type.
  config.embedding_scale = tensor::dispatch_float(activations, [&](auto tag) {
    return tensor::rounded<typename decltype(tag)::type>(config.embedding_scale);
  });
  make_arenas(context);
}

void Transformer::Impl::make_arenas(ops::Context& context) {
  const auto open = [&](tensor::Device device) {
    for (const auto& there : arenas) {
      if (there->device == device) return;
    }
    Arena& made = *arenas.emplace_back(std::make_unique<Arena>(device));
    if (config.position != PositionKind::rope) return;
    made.inverse_frequencies =
        ops::Vector(frequencies_of(config.rope, config.rotary_width), device, context);
    if (!config.local_rope) return;
    made.local_frequencies =
        ops::Vector(frequencies_of(*config.local_rope, config.rotary_width), device, context);
  };
  for (const tensor::Device device : devices) open(device);
  for (const auto& [role, layer] : weights.matrices) open(layer.device());
  on_one_device = arenas.size() == 1 && arenas.front()->device.kind == tensor::DeviceKind::cuda;
  const bool any_cuda = std::ranges::any_of(
      arenas, [](const auto& there) { return there->device.kind == tensor::DeviceKind::cuda; });
  eager = std::make_unique<Step>(any_cuda);
  current = eager.get();
}

Arena& Transformer::Impl::arena(tensor::Device device) const {
  for (const auto& there : arenas) {
    if (there->device == device) return *there;
  }
  fail(ErrorCode::internal, "nothing of the model is on {}", tensor::to_string(device));
}

std::int64_t Transformer::Impl::growths() const {
  std::int64_t total = 0;
  for (const auto& there : arenas) total += there->growths;
  return total;
}

void Transformer::Impl::resolve() {
  token_table = &matrix("embeddings.token");
  if (config.position == PositionKind::learned) position_table = &matrix("embeddings.position");
  type_table = find("embeddings.type");
  embedding_norm = norm_if_any("embeddings.norm");
  for (std::int64_t i = 0; i < config.blocks; ++i) blocks.push_back(block_of(i));
  final_norm = norm_if_any("final_norm");
  head_dense = find("head.dense");
  head_norm = norm_if_any("head.norm");
  head_output = find("head.output");
}

Block Transformer::Impl::block_of(std::int64_t index) const {
  const std::string prefix = fmt::format("blocks.{}.", index);
  Block block{.query = &matrix(prefix + "attention.query"),
              .key = &matrix(prefix + "attention.key"),
              .value = &matrix(prefix + "attention.value"),
              .attention_output = &matrix(prefix + "attention.output"),
              .router = find(prefix + "mlp.router"),
              .sinks = vector_if_any(prefix + "attention.sinks"),
              .query_norm = norm_if_any(prefix + "attention.query_norm"),
              .key_norm = norm_if_any(prefix + "attention.key_norm"),
              .attention_norm = norm_if_any(prefix + "attention.norm"),
              .attention_post_norm = norm_if_any(prefix + "attention.post_norm"),
              .mlp_norm = norm(prefix + "mlp.norm"),
              .mlp_post_norm = norm_if_any(prefix + "mlp.post_norm")};
  const auto part = [&](const char* name, std::int64_t expert) {
    return &matrix(fmt::format("{}mlp.experts.{}.{}", prefix, name, expert));
  };
  for (std::int64_t e = 0; e < config.experts.count; ++e) {
    block.experts.push_back({part("gate", e), part("up", e), part("down", e)});
  }
  if (block.router != nullptr) return block;
  if (config.gated_mlp) block.gate = &matrix(prefix + "mlp.gate");
  block.up = &matrix(prefix + "mlp.up");
  block.down = &matrix(prefix + "mlp.down");
  return block;
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

std::span<const float> Transformer::Impl::vector_if_any(const std::string& role) const {
  const auto it = weights.vectors.find(role);
  return it == weights.vectors.end() ? std::span<const float>() : it->second.view();
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
  Norm result{.weight = weight->second.view(), .bias = {}};
  if (bias != weights.vectors.end()) result.bias = bias->second.view();
  return result;
}

}  // namespace assay::models
