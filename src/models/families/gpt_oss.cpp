#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

constexpr Architecture kArchitectures[] = {{"GptOssForCausalLM", HeadKind::language_model, true}};

constexpr RefusedKey kRefused[] = {{"attention_bias", "true"}, {"hidden_act", "\"silu\""}};

/// Rows of gate and up take turns; GGUF files hold them apart.
constexpr Extent kGateUp[] = {Extent::intermediate, Extent::intermediate};

constexpr RoleSpec expert_part(std::string_view role, std::string_view name, std::string_view gguf,
                               std::size_t part) {
  return {.role = role,
          .name = name,
          .gguf = gguf,
          .layer_class = LayerClass::mlp,
          .rows = Extent::intermediate,
          .bias = BiasRule::required,
          .fused_name = "layers.{i}.mlp.experts.gate_up_proj",
          .fused_rows = kGateUp,
          .fused_part = part,
          .fused_by_turns = true,
          .transposed = true,
          .experts = true,
          .bare = true};
}

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
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.key",
     .name = "layers.{i}.self_attn.k_proj",
     .gguf = "blk.{i}.attn_k",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.value",
     .name = "layers.{i}.self_attn.v_proj",
     .gguf = "blk.{i}.attn_v",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.sinks",
     .name = "layers.{i}.self_attn.sinks",
     .gguf = "blk.{i}.attn_sinks",
     .kind = RoleKind::vector,
     .rows = Extent::heads,
     .bare = true},
    {.role = "blocks.{i}.attention.output",
     .name = "layers.{i}.self_attn.o_proj",
     .gguf = "blk.{i}.attn_output",
     .layer_class = LayerClass::attention,
     .cols = Extent::query,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.mlp.norm",
     .name = "layers.{i}.post_attention_layernorm",
     .gguf = "blk.{i}.post_attention_norm",
     .kind = RoleKind::vector},
    {.role = "blocks.{i}.mlp.router",
     .name = "layers.{i}.mlp.router",
     .gguf = "blk.{i}.ffn_gate_inp",
     .layer_class = LayerClass::mlp,
     .rows = Extent::experts,
     .bias = BiasRule::required,
     .quantizable = false},
    expert_part("blocks.{i}.mlp.experts.gate", "layers.{i}.mlp.experts.gate_up_proj.gate",
                "blk.{i}.ffn_gate_exps", 0),
    expert_part("blocks.{i}.mlp.experts.up", "layers.{i}.mlp.experts.gate_up_proj.up",
                "blk.{i}.ffn_up_exps", 1),
    {.role = "blocks.{i}.mlp.experts.down",
     .name = "layers.{i}.mlp.experts.down_proj",
     .gguf = "blk.{i}.ffn_down_exps",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate,
     .bias = BiasRule::required,
     .transposed = true,
     .experts = true,
     .bare = true},
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

extern const Family kGptOss;
const Family kGptOss = {
    .model_type = "gpt_oss",
    .prefix = "model.",
    .architectures = kArchitectures,
    .keys = {.vocabulary = {"vocab_size"},
             .hidden = {"hidden_size"},
             .blocks = {"num_hidden_layers"},
             .heads = {"num_attention_heads"},
             .intermediate = {"intermediate_size"},
             .max_positions = {"max_position_embeddings", 131072},
             .token_types = {},
             .activation = "hidden_act",
             .eps = "rms_norm_eps",
             .eps_value = 1e-5,
             .head_dim = 64},
    .refused = kRefused,
    .roles = kRoles,
    .causal = true,
    .norm = NormKind::rms,
    .norm_first = true,
    .position = PositionKind::rope,
    .gated_mlp = true,
    .head_activation = kernels::cpu::UnaryFunction::tanh,
    .gguf = "gpt-oss",
    .rope = {.theta_value = 150000.0, .yarn_truncates = false},
    .window = WindowRule::periodic,
    .default_window = 128,
    .period = {.blocks = 2},
    .experts = true,
};

}  // namespace assay::models
