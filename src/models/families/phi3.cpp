#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

constexpr Architecture kArchitectures[] = {{"Phi3ForCausalLM", HeadKind::language_model, true}};

constexpr RefusedKey kRefused[] = {{"attention_bias", "false"}, {"mlp_bias", "false"}};

// The parts of the two fused modules, in the order of their rows.
constexpr Extent kQueryKeyValue[] = {Extent::query, Extent::key_value, Extent::key_value};
constexpr Extent kGateUp[] = {Extent::intermediate, Extent::intermediate};

constexpr RoleSpec attention_part(std::string_view role, std::string_view name, Extent rows,
                                  std::size_t part) {
  return {.role = role,
          .name = name,
          .layer_class = LayerClass::attention,
          .rows = rows,
          .fused_name = "layers.{i}.self_attn.qkv_proj",
          .fused_gguf = "blk.{i}.attn_qkv",
          .fused_rows = kQueryKeyValue,
          .fused_part = part};
}

constexpr RoleSpec mlp_part(std::string_view role, std::string_view name, std::size_t part) {
  return {.role = role,
          .name = name,
          .layer_class = LayerClass::mlp,
          .rows = Extent::intermediate,
          .fused_name = "layers.{i}.mlp.gate_up_proj",
          .fused_gguf = "blk.{i}.ffn_up",
          .fused_rows = kGateUp,
          .fused_part = part};
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
    attention_part("blocks.{i}.attention.query", "layers.{i}.self_attn.qkv_proj.query",
                   Extent::query, 0),
    attention_part("blocks.{i}.attention.key", "layers.{i}.self_attn.qkv_proj.key",
                   Extent::key_value, 1),
    attention_part("blocks.{i}.attention.value", "layers.{i}.self_attn.qkv_proj.value",
                   Extent::key_value, 2),
    {.role = "blocks.{i}.attention.output",
     .name = "layers.{i}.self_attn.o_proj",
     .gguf = "blk.{i}.attn_output",
     .layer_class = LayerClass::attention,
     .cols = Extent::query},
    {.role = "blocks.{i}.mlp.norm",
     .name = "layers.{i}.post_attention_layernorm",
     .gguf = "blk.{i}.ffn_norm",
     .kind = RoleKind::vector},
    mlp_part("blocks.{i}.mlp.gate", "layers.{i}.mlp.gate_up_proj.gate", 0),
    mlp_part("blocks.{i}.mlp.up", "layers.{i}.mlp.gate_up_proj.up", 1),
    {.role = "blocks.{i}.mlp.down",
     .name = "layers.{i}.mlp.down_proj",
     .gguf = "blk.{i}.ffn_down",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate},
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

extern const Family kPhi3;
const Family kPhi3 = {
    .model_type = "phi3",
    .prefix = "model.",
    .architectures = kArchitectures,
    .keys = {.vocabulary = {"vocab_size"},
             .hidden = {"hidden_size"},
             .blocks = {"num_hidden_layers"},
             .heads = {"num_attention_heads"},
             .intermediate = {"intermediate_size"},
             .max_positions = {"max_position_embeddings", 4096},
             .token_types = {},
             .activation = "hidden_act",
             .eps = "rms_norm_eps",
             .eps_value = 1e-5},
    .refused = kRefused,
    .roles = kRoles,
    .causal = true,
    .norm = NormKind::rms,
    .norm_first = true,
    .position = PositionKind::rope,
    .gated_mlp = true,
    .head_activation = kernels::cpu::UnaryFunction::tanh,
    .gguf = "phi3",
    .rope = {.partial = true},
    .window = WindowRule::every_block,
};

}  // namespace assay::models
