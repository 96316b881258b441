#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

/// Llama and those that differ from it by what ModelConfig says.
constexpr RoleSpec kRoles[] = {
    {.role = "embeddings.token",
     .name = "embed_tokens",
     .gguf = "token_embd",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::vocabulary},
    {.role = "blocks.{i}.attention.norm",
     .name = "layers.{i}.input_layernorm",
     .gguf = "blk.{i}.attn_norm",
     .kind = RoleKind::vector},
    {.role = "blocks.{i}.attention.query",
     .name = "layers.{i}.self_attn.q_proj",
     .gguf = "blk.{i}.attn_q",
     .layer_class = LayerClass::attention,
     .rows = Extent::query,
     .bias = BiasRule::by_attention,
     .interleaved = true},
    {.role = "blocks.{i}.attention.key",
     .name = "layers.{i}.self_attn.k_proj",
     .gguf = "blk.{i}.attn_k",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value,
     .bias = BiasRule::by_attention,
     .interleaved = true},
    {.role = "blocks.{i}.attention.value",
     .name = "layers.{i}.self_attn.v_proj",
     .gguf = "blk.{i}.attn_v",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value,
     .bias = BiasRule::by_attention},
    {.role = "blocks.{i}.attention.output",
     .name = "layers.{i}.self_attn.o_proj",
     .gguf = "blk.{i}.attn_output",
     .layer_class = LayerClass::attention,
     .cols = Extent::query,
     .bias = BiasRule::by_output},
    {.role = "blocks.{i}.attention.query_norm",
     .name = "layers.{i}.self_attn.q_norm",
     .gguf = "blk.{i}.attn_q_norm",
     .kind = RoleKind::vector,
     .rows = Extent::head,
     .presence = Presence::head_norms},
    {.role = "blocks.{i}.attention.key_norm",
     .name = "layers.{i}.self_attn.k_norm",
     .gguf = "blk.{i}.attn_k_norm",
     .kind = RoleKind::vector,
     .rows = Extent::head,
     .presence = Presence::head_norms},
    {.role = "blocks.{i}.mlp.norm",
     .name = "layers.{i}.post_attention_layernorm",
     .gguf = "blk.{i}.ffn_norm",
     .kind = RoleKind::vector},
    {.role = "blocks.{i}.mlp.gate",
     .name = "layers.{i}.mlp.gate_proj",
     .gguf = "blk.{i}.ffn_gate",
     .layer_class = LayerClass::mlp,
     .rows = Extent::intermediate,
     .bias = BiasRule::by_mlp},
    {.role = "blocks.{i}.mlp.up",
     .name = "layers.{i}.mlp.up_proj",
     .gguf = "blk.{i}.ffn_up",
     .layer_class = LayerClass::mlp,
     .rows = Extent::intermediate,
     .bias = BiasRule::by_mlp},
    {.role = "blocks.{i}.mlp.down",
     .name = "layers.{i}.mlp.down_proj",
     .gguf = "blk.{i}.ffn_down",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate,
     .bias = BiasRule::by_mlp},
    {.role = "final_norm", .name = "norm", .gguf = "output_norm", .kind = RoleKind::vector},
    {.role = "head.output",
     .name = "lm_head",
     .gguf = "output",
     .layer_class = LayerClass::head,
     .rows = Extent::vocabulary,
     .presence = Presence::language_model,
     .backbone = false},
};

constexpr ConfigKeys kKeys = {.vocabulary = {"vocab_size"},
                              .hidden = {"hidden_size"},
                              .blocks = {"num_hidden_layers"},
                              .heads = {"num_attention_heads"},
                              .intermediate = {"intermediate_size"},
                              .max_positions = {"max_position_embeddings", 2048},
                              .token_types = {},
                              .activation = "hidden_act",
                              .eps = "rms_norm_eps",
                              .eps_value = 1e-6};

/// Llama itself; the others change a few fields.
constexpr Family family(std::string_view model_type, std::span<const Architecture> architectures) {
  return {.model_type = model_type,
          .prefix = "model.",
          .architectures = architectures,
          .keys = kKeys,
          .refused = {},
          .roles = kRoles,
          .causal = true,
          .norm = NormKind::rms,
          .norm_first = true,
          .position = PositionKind::rope,
          .gated_mlp = true,
          .head_activation = kernels::cpu::UnaryFunction::tanh};
}

constexpr Architecture kLlamaNames[] = {{"LlamaForCausalLM", HeadKind::language_model, true}};
constexpr Architecture kMistralNames[] = {{"MistralForCausalLM", HeadKind::language_model, true}};
constexpr Architecture kQwen2Names[] = {{"Qwen2ForCausalLM", HeadKind::language_model, true}};
constexpr Architecture kQwen3Names[] = {{"Qwen3ForCausalLM", HeadKind::language_model, true}};

constexpr RefusedKey kNoBias[] = {{"attention_bias", "false"}, {"mlp_bias", "false"}};

}  // namespace

extern const Family kLlama;
const Family kLlama = [] {
  Family llama = family("llama", kLlamaNames);
  llama.gguf = "llama";
  llama.gguf_interleaved = true;
  return llama;
}();

/// In GGUF files it is a llama.
extern const Family kMistral;
const Family kMistral = [] {
  Family mistral = family("mistral", kMistralNames);
  mistral.refused = kNoBias;
  mistral.keys.max_positions = {"max_position_embeddings", 131072};
  mistral.window = WindowRule::every_block;
  mistral.default_window = 4096;
  return mistral;
}();

extern const Family kQwen2;
const Family kQwen2 = [] {
  Family qwen = family("qwen2", kQwen2Names);
  qwen.keys.max_positions = {"max_position_embeddings", 32768};
  qwen.gguf = "qwen2";
  qwen.attention_bias = AttentionBias::without_output;
  qwen.window = WindowRule::by_layer;
  qwen.default_window = 4096;
  return qwen;
}();

extern const Family kQwen3;
const Family kQwen3 = [] {
  Family qwen = family("qwen3", kQwen3Names);
  qwen.keys.max_positions = {"max_position_embeddings", 32768};
  qwen.keys.head_dim = 128;
  qwen.gguf = "qwen3";
  qwen.head_norms = true;
  qwen.window = WindowRule::by_layer;
  qwen.default_window = 4096;
  return qwen;
}();

}  // namespace assay::models
