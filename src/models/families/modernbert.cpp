#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

constexpr Architecture kArchitectures[] = {
    {"ModernBertModel", HeadKind::pooled_embedding, false},
    {"ModernBertForSequenceClassification", HeadKind::classifier, true}};

constexpr RefusedKey kRefused[] = {{"attention_bias", "false"},
                                   {"mlp_bias", "false"},
                                   {"norm_bias", "false"},
                                   {"classifier_bias", "false"},
                                   {"classifier_activation", "\"gelu\""},
                                   {"rope_scaling", "null"}};

// The parts of the two fused modules, in the order of their rows.
constexpr Extent kQueryKeyValue[] = {Extent::query, Extent::key_value, Extent::key_value};
constexpr Extent kGateUp[] = {Extent::intermediate, Extent::intermediate};

constexpr RoleSpec attention_part(std::string_view role, std::string_view name, std::size_t part) {
  return {.role = role,
          .name = name,
          .layer_class = LayerClass::attention,
          .rows = kQueryKeyValue[part],
          .fused_name = "layers.{i}.attn.Wqkv",
          .fused_rows = kQueryKeyValue,
          .fused_part = part};
}

constexpr RoleSpec mlp_part(std::string_view role, std::string_view name, std::size_t part) {
  return {.role = role,
          .name = name,
          .layer_class = LayerClass::mlp,
          .rows = Extent::intermediate,
          .fused_name = "layers.{i}.mlp.Wi",
          .fused_rows = kGateUp,
          .fused_part = part};
}

constexpr RoleSpec kRoles[] = {
    {.role = "embeddings.token",
     .name = "embeddings.tok_embeddings",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::vocabulary},
    {.role = "embeddings.norm", .name = "embeddings.norm", .kind = RoleKind::vector},
    {.role = "blocks.{i}.attention.norm",
     .name = "layers.{i}.attn_norm",
     .kind = RoleKind::vector,
     .presence = Presence::but_first_block},
    attention_part("blocks.{i}.attention.query", "layers.{i}.attn.Wqkv.query", 0),
    attention_part("blocks.{i}.attention.key", "layers.{i}.attn.Wqkv.key", 1),
    attention_part("blocks.{i}.attention.value", "layers.{i}.attn.Wqkv.value", 2),
    {.role = "blocks.{i}.attention.output",
     .name = "layers.{i}.attn.Wo",
     .layer_class = LayerClass::attention,
     .cols = Extent::query},
    {.role = "blocks.{i}.mlp.norm", .name = "layers.{i}.mlp_norm", .kind = RoleKind::vector},
    mlp_part("blocks.{i}.mlp.gate", "layers.{i}.mlp.Wi.gate", 0),
    mlp_part("blocks.{i}.mlp.up", "layers.{i}.mlp.Wi.up", 1),
    {.role = "blocks.{i}.mlp.down",
     .name = "layers.{i}.mlp.Wo",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate},
    {.role = "final_norm", .name = "final_norm", .kind = RoleKind::vector},
    {.role = "head.dense",
     .name = "head.dense",
     .presence = Presence::classifier,
     .backbone = false},
    {.role = "head.norm",
     .name = "head.norm",
     .kind = RoleKind::vector,
     .presence = Presence::classifier,
     .backbone = false},
    {.role = "head.output",
     .name = "classifier",
     .layer_class = LayerClass::head,
     .rows = Extent::labels,
     .bias = BiasRule::required,
     .presence = Presence::classifier,
     .backbone = false,
     .quantizable = false},
};

}  // namespace

extern const Family kModernBert;
const Family kModernBert = {
    .model_type = "modernbert",
    .prefix = "model.",
    .architectures = kArchitectures,
    .keys = {.vocabulary = {"vocab_size"},
             .hidden = {"hidden_size"},
             .blocks = {"num_hidden_layers"},
             .heads = {"num_attention_heads"},
             .intermediate = {"intermediate_size"},
             .max_positions = {"max_position_embeddings", 8192},
             .token_types = {},
             .activation = "hidden_activation",
             .eps = "norm_eps",
             .eps_value = 1e-5},
    .refused = kRefused,
    .roles = kRoles,
    .causal = false,
    .norm = NormKind::layer,
    .norm_first = true,
    .position = PositionKind::rope,
    .gated_mlp = true,
    .head_activation = kernels::cpu::UnaryFunction::gelu_erf,
    .rope = {.theta = "global_rope_theta", .theta_value = 160000.0, .local = "local_rope_theta"},
    .window = WindowRule::periodic,
    .default_window = 128,
    .period = {.blocks = 3,
               .key = "global_attn_every_n_layers",
               .full_first = true,
               .total = "local_attention"},
};

}  // namespace assay::models
