#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

constexpr Architecture kArchitectures[] = {{"GPT2LMHeadModel", HeadKind::language_model, true}};

constexpr RefusedKey kRefused[] = {{"scale_attn_weights", "true"},
                                   {"scale_attn_by_inverse_layer_idx", "false"},
                                   {"reorder_and_upcast_attn", "false"},
                                   {"add_cross_attention", "false"}};

constexpr Extent kQueryKeyValue[] = {Extent::query, Extent::key_value, Extent::key_value};

constexpr RoleSpec attention_part(std::string_view role, std::string_view name, std::size_t part) {
  return {.role = role,
          .name = name,
          .layer_class = LayerClass::attention,
          .rows = kQueryKeyValue[part],
          .bias = BiasRule::required,
          .fused_name = "h.{i}.attn.c_attn",
          .fused_gguf = "blk.{i}.attn_qkv",
          .fused_rows = kQueryKeyValue,
          .fused_part = part,
          .transposed = true};
}

constexpr RoleSpec kRoles[] = {
    {.role = "embeddings.token",
     .name = "wte",
     .gguf = "token_embd",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::vocabulary},
    {.role = "embeddings.position",
     .name = "wpe",
     .gguf = "position_embd",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::positions},
    {.role = "blocks.{i}.attention.norm",
     .name = "h.{i}.ln_1",
     .gguf = "blk.{i}.attn_norm",
     .kind = RoleKind::vector,
     .bias = BiasRule::required},
    attention_part("blocks.{i}.attention.query", "h.{i}.attn.c_attn.query", 0),
    attention_part("blocks.{i}.attention.key", "h.{i}.attn.c_attn.key", 1),
    attention_part("blocks.{i}.attention.value", "h.{i}.attn.c_attn.value", 2),
    {.role = "blocks.{i}.attention.output",
     .name = "h.{i}.attn.c_proj",
     .gguf = "blk.{i}.attn_output",
     .layer_class = LayerClass::attention,
     .cols = Extent::query,
     .bias = BiasRule::required,
     .transposed = true},
    {.role = "blocks.{i}.mlp.norm",
     .name = "h.{i}.ln_2",
     .gguf = "blk.{i}.ffn_norm",
     .kind = RoleKind::vector,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.mlp.up",
     .name = "h.{i}.mlp.c_fc",
     .gguf = "blk.{i}.ffn_up",
     .layer_class = LayerClass::mlp,
     .rows = Extent::intermediate,
     .bias = BiasRule::required,
     .transposed = true},
    {.role = "blocks.{i}.mlp.down",
     .name = "h.{i}.mlp.c_proj",
     .gguf = "blk.{i}.ffn_down",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate,
     .bias = BiasRule::required,
     .transposed = true},
    {.role = "final_norm",
     .name = "ln_f",
     .gguf = "output_norm",
     .kind = RoleKind::vector,
     .bias = BiasRule::required},
    {.role = "head.output",
     .name = "lm_head",
     .gguf = "output",
     .layer_class = LayerClass::head,
     .rows = Extent::vocabulary,
     .presence = Presence::language_model,
     .backbone = false},
};

}  // namespace

extern const Family kGpt2;
const Family kGpt2 = {
    .model_type = "gpt2",
    .prefix = "transformer.",
    .architectures = kArchitectures,
    .keys = {.vocabulary = {"vocab_size"},
             .hidden = {"n_embd"},
             .blocks = {"n_layer"},
             .heads = {"n_head"},
             .intermediate = {"n_inner", 0},  // 0: four times the width
             .max_positions = {"n_positions", 1024},
             .token_types = {},
             .activation = "activation_function",
             .eps = "layer_norm_epsilon",
             .eps_value = 1e-5,
             .tied_head = true},
    .refused = kRefused,
    .roles = kRoles,
    .causal = true,
    .norm = NormKind::layer,
    .norm_first = true,
    .position = PositionKind::learned,
    .gated_mlp = false,
    .head_activation = kernels::cpu::UnaryFunction::tanh,
    .gguf = "gpt2",
    .gguf_activation = kernels::cpu::UnaryFunction::gelu_tanh,
};

}  // namespace assay::models
