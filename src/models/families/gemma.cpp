#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

constexpr Architecture kGemma2Names[] = {{"Gemma2ForCausalLM", HeadKind::language_model, true}};
constexpr Architecture kGemma3Names[] = {{"Gemma3ForCausalLM", HeadKind::language_model, true}};

constexpr RefusedKey kRefused[] = {{"attention_bias", "false"}, {"mlp_bias", "false"}};

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
     .rows = Extent::query},
    {.role = "blocks.{i}.attention.key",
     .name = "layers.{i}.self_attn.k_proj",
     .gguf = "blk.{i}.attn_k",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value},
    {.role = "blocks.{i}.attention.value",
     .name = "layers.{i}.self_attn.v_proj",
     .gguf = "blk.{i}.attn_v",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value},
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
    {.role = "blocks.{i}.attention.output",
     .name = "layers.{i}.self_attn.o_proj",
     .gguf = "blk.{i}.attn_output",
     .layer_class = LayerClass::attention,
     .cols = Extent::query},
    {.role = "blocks.{i}.attention.post_norm",
     .name = "layers.{i}.post_attention_layernorm",
     .gguf = "blk.{i}.post_attention_norm",
     .kind = RoleKind::vector},
    {.role = "blocks.{i}.mlp.norm",
     .name = "layers.{i}.pre_feedforward_layernorm",
     .gguf = "blk.{i}.ffn_norm",
     .kind = RoleKind::vector},
    {.role = "blocks.{i}.mlp.gate",
     .name = "layers.{i}.mlp.gate_proj",
     .gguf = "blk.{i}.ffn_gate",
     .layer_class = LayerClass::mlp,
     .rows = Extent::intermediate},
    {.role = "blocks.{i}.mlp.up",
     .name = "layers.{i}.mlp.up_proj",
     .gguf = "blk.{i}.ffn_up",
     .layer_class = LayerClass::mlp,
     .rows = Extent::intermediate},
    {.role = "blocks.{i}.mlp.down",
     .name = "layers.{i}.mlp.down_proj",
     .gguf = "blk.{i}.ffn_down",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate},
    {.role = "blocks.{i}.mlp.post_norm",
     .name = "layers.{i}.post_feedforward_layernorm",
     .gguf = "blk.{i}.post_ffw_norm",
     .kind = RoleKind::vector},
    {.role = "final_norm", .name = "norm", .gguf = "output_norm", .kind = RoleKind::vector},
    {.role = "head.output",
     .name = "lm_head",
     .gguf = "output",
     .layer_class = LayerClass::head,
     .rows = Extent::vocabulary,
     .presence = Presence::language_model,
     .backbone = false},
};

}  // namespace

extern const Family kGemma2;
const Family kGemma2 = {
    .model_type = "gemma2",
    .prefix = "model.",
    .architectures = kGemma2Names,
    .keys = {.vocabulary = {"vocab_size"},
             .hidden = {"hidden_size"},
             .blocks = {"num_hidden_layers"},
             .heads = {"num_attention_heads"},
             .intermediate = {"intermediate_size"},
             .max_positions = {"max_position_embeddings", 8192},
             .token_types = {},
             .activation = "hidden_activation",
             .eps = "rms_norm_eps",
             .eps_value = 1e-6,
             .tied_head = true,
             .head_dim = 256},
    .refused = kRefused,
    .roles = kRoles,
    .causal = true,
    .norm = NormKind::rms,
    .norm_first = true,
    .position = PositionKind::rope,
    .gated_mlp = true,
    .head_activation = kernels::cpu::UnaryFunction::tanh,
    .gguf = "gemma2",
    .window = WindowRule::periodic,
    .default_window = 4096,
    .period = {.blocks = 2},
    .scores = {.query_scalar = 256.0,
               .attention_cap = 50.0,
               .logit_cap = 30.0,
               .width_scaled_blocks = 46},
    .norm_offset = true,
    .scaled_embedding = true,
    .gguf_activation = kernels::cpu::UnaryFunction::gelu_tanh,
};

extern const Family kGemma3;
const Family kGemma3 = [] {
  Family gemma = kGemma2;
  gemma.model_type = "gemma3_text";
  gemma.architectures = kGemma3Names;
  gemma.keys.max_positions = {"max_position_embeddings", 131072};
  gemma.gguf = "gemma3";
  gemma.head_norms = true;
  gemma.rope = {.theta_value = 1e6, .local = "rope_local_base_freq"};
  gemma.period = {.blocks = 6, .key = "sliding_window_pattern"};
  gemma.scores = {
      .query_scalar = 256.0, .attention_cap = 0.0, .logit_cap = 0.0, .width_scaled_blocks = 62};
  return gemma;
}();

}  // namespace assay::models
