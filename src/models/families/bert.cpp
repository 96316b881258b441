#include <algorithm>
#include <array>

#include "models/family.h"

namespace assay::models {
namespace {

using precision::LayerClass;

constexpr Architecture kBertNames[] = {
    {"BertModel", HeadKind::pooled_embedding, false},
    {"BertForSequenceClassification", HeadKind::classifier, true}};
constexpr Architecture kRobertaNames[] = {
    {"RobertaModel", HeadKind::pooled_embedding, false},
    {"RobertaForSequenceClassification", HeadKind::classifier, true}};
constexpr Architecture kXlmRobertaNames[] = {
    {"XLMRobertaModel", HeadKind::pooled_embedding, false},
    {"XLMRobertaForSequenceClassification", HeadKind::classifier, true}};

constexpr RefusedKey kRefused[] = {{"position_embedding_type", "\"absolute\""},
                                   {"is_decoder", "false"},
                                   {"add_cross_attention", "false"}};

constexpr RoleSpec kBackbone[] = {
    {.role = "embeddings.token",
     .name = "embeddings.word_embeddings",
     .gguf = "token_embd",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::vocabulary},
    {.role = "embeddings.type",
     .name = "embeddings.token_type_embeddings",
     .gguf = "token_types",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::token_types,
     .presence = Presence::token_types},
    {.role = "embeddings.position",
     .name = "embeddings.position_embeddings",
     .gguf = "position_embd",
     .layer_class = LayerClass::embeddings,
     .kind = RoleKind::table,
     .rows = Extent::positions},
    {.role = "embeddings.norm",
     .name = "embeddings.LayerNorm",
     .gguf = "token_embd_norm",
     .kind = RoleKind::vector,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.query",
     .name = "encoder.layer.{i}.attention.self.query",
     .gguf = "blk.{i}.attn_q",
     .layer_class = LayerClass::attention,
     .rows = Extent::query,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.key",
     .name = "encoder.layer.{i}.attention.self.key",
     .gguf = "blk.{i}.attn_k",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.value",
     .name = "encoder.layer.{i}.attention.self.value",
     .gguf = "blk.{i}.attn_v",
     .layer_class = LayerClass::attention,
     .rows = Extent::key_value,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.output",
     .name = "encoder.layer.{i}.attention.output.dense",
     .gguf = "blk.{i}.attn_output",
     .layer_class = LayerClass::attention,
     .cols = Extent::query,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.attention.norm",
     .name = "encoder.layer.{i}.attention.output.LayerNorm",
     .gguf = "blk.{i}.attn_output_norm",
     .kind = RoleKind::vector,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.mlp.up",
     .name = "encoder.layer.{i}.intermediate.dense",
     .gguf = "blk.{i}.ffn_up",
     .layer_class = LayerClass::mlp,
     .rows = Extent::intermediate,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.mlp.down",
     .name = "encoder.layer.{i}.output.dense",
     .gguf = "blk.{i}.ffn_down",
     .layer_class = LayerClass::mlp,
     .cols = Extent::intermediate,
     .bias = BiasRule::required},
    {.role = "blocks.{i}.mlp.norm",
     .name = "encoder.layer.{i}.output.LayerNorm",
     .gguf = "blk.{i}.layer_output_norm",
     .kind = RoleKind::vector,
     .bias = BiasRule::required},
};

constexpr RoleSpec kBertHead[] = {{.role = "head.dense",
                                   .name = "pooler.dense",
                                   .bias = BiasRule::required,
                                   .presence = Presence::classifier},
                                  {.role = "head.output",
                                   .name = "classifier",
                                   .layer_class = LayerClass::head,
                                   .rows = Extent::labels,
                                   .bias = BiasRule::required,
                                   .presence = Presence::classifier,
                                   .backbone = false,
                                   .quantizable = false}};

/// Both are parts of the module "classifier", which is not quantized.
constexpr RoleSpec kRobertaHead[] = {{.role = "head.dense",
                                      .name = "classifier.dense",
                                      .layer_class = LayerClass::head,
                                      .bias = BiasRule::required,
                                      .presence = Presence::classifier,
                                      .backbone = false,
                                      .quantizable = false},
                                     {.role = "head.output",
                                      .name = "classifier.out_proj",
                                      .layer_class = LayerClass::head,
                                      .rows = Extent::labels,
                                      .bias = BiasRule::required,
                                      .presence = Presence::classifier,
                                      .backbone = false,
                                      .quantizable = false}};

template <std::size_t kFirst, std::size_t kSecond>
constexpr auto joined(const RoleSpec (&first)[kFirst], const RoleSpec (&second)[kSecond]) {
  std::array<RoleSpec, kFirst + kSecond> all;
  std::copy(second, second + kSecond, std::copy(first, first + kFirst, all.begin()));
  return all;
}
constexpr auto kBertRoles = joined(kBackbone, kBertHead);
constexpr auto kRobertaRoles = joined(kBackbone, kRobertaHead);

constexpr Family family(std::string_view model_type, std::string_view prefix,
                        std::span<const Architecture> architectures,
                        std::span<const RoleSpec> roles) {
  return {.model_type = model_type,
          .prefix = prefix,
          .architectures = architectures,
          .keys = {.vocabulary = {"vocab_size"},
                   .hidden = {"hidden_size"},
                   .blocks = {"num_hidden_layers"},
                   .heads = {"num_attention_heads"},
                   .intermediate = {"intermediate_size"},
                   .max_positions = {"max_position_embeddings", 512},
                   .token_types = {"type_vocab_size", 2},
                   .activation = "hidden_act",
                   .eps = "layer_norm_eps",
                   .eps_value = 1e-12},
          .refused = kRefused,
          .roles = roles,
          .causal = false,
          .norm = NormKind::layer,
          .norm_first = false,
          .position = PositionKind::learned,
          .gated_mlp = false,
          .head_activation = kernels::cpu::UnaryFunction::tanh};
}

}  // namespace

extern const Family kBert;
const Family kBert = [] {
  Family bert = family("bert", "bert.", kBertNames, kBertRoles);
  bert.gguf = "bert";
  bert.gguf_activation = kernels::cpu::UnaryFunction::gelu_erf;
  return bert;
}();

extern const Family kRoberta;
const Family kRoberta = [] {
  Family roberta = family("roberta", "roberta.", kRobertaNames, kRobertaRoles);
  roberta.positions_after_pad = true;
  return roberta;
}();

extern const Family kXlmRoberta;
const Family kXlmRoberta = [] {
  Family xlm = family("xlm-roberta", "roberta.", kXlmRobertaNames, kRobertaRoles);
  xlm.positions_after_pad = true;
  return xlm;
}();

}  // namespace assay::models
