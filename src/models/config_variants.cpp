#include "models/config_variants.h"

#include <algorithm>

namespace assay::models {
namespace {

/// Keys by which published configs change what a block computes, each with the value that changes
/// nothing. A family that gives a key a meaning lists it among what it reads.
constexpr RefusedKey kForeign[] = {
    {"alibi", "false"},
    {"attention_chunk_size", "null"},
    {"attention_multiplier", "null"},
    {"attn_logit_softcapping", "null"},
    {"clip_qkv", "null"},
    {"embedding_multiplier", "1.0"},
    {"final_logit_softcapping", "null"},
    {"is_decoder", "false"},
    {"kv_lora_rank", "null"},
    {"logit_scale", "1.0"},
    {"logits_scaling", "1.0"},
    {"moe_intermediate_size", "null"},
    {"no_rope_layers", "null"},
    {"num_experts", "0"},
    {"num_local_experts", "0"},
    {"parallel_attn", "false"},
    {"qk_layernorm", "false"},
    {"query_pre_attn_scalar", "null"},
    {"residual_multiplier", "1.0"},
    {"rope_local_base_freq", "null"},
    {"scale_depth", "null"},
    {"scale_emb", "1.0"},
    {"sliding_window", "null"},
    {"use_bidirectional_attention", "false"},
    {"use_parallel_residual", "false"},
    {"use_qk_norm", "false"},
    {"use_sliding_window", "false"},
};

bool is_read(const Family& family, std::string_view key) {
  if (key == "sliding_window") return family.window != WindowRule::none;
  if (key == "use_sliding_window") return family.window == WindowRule::by_layer;
  if (key == "query_pre_attn_scalar") return family.scores.query_scalar.has_value();
  if (key == "attn_logit_softcapping") return family.scores.attention_cap.has_value();
  if (key == "final_logit_softcapping") return family.scores.logit_cap.has_value();
  if (key == "rope_local_base_freq") return family.rope.local == key;
  if (key == "num_local_experts" || key == "num_experts") return family.experts;
  return false;
}

/// layer_types of a family without windows may only say that there are none.
void refuse_layer_types(const ConfigReader& reader) {
  const Json* types = reader.find("layer_types");
  if (types == nullptr) return;
  for (const Json& type : types->is_array() ? *types : Json::array({*types})) {
    if (type == "full_attention") continue;
    reader.refuse("layer_types", fmt::format("has {}, which is not implemented; only "
                                             "full_attention is",
                                             ConfigReader::shown(type)));
  }
}

}  // namespace

void refuse_other_values(const ConfigReader& reader, const RefusedKey& refused) {
  const Json* value = reader.find(refused.key);
  if (value == nullptr || *value == Json::parse(refused.accepted)) return;
  reader.refuse(refused.key, fmt::format("is {}, which is not implemented; only {} is",
                                         ConfigReader::shown(*value), refused.accepted));
}

void refuse_foreign_keys(const ConfigReader& reader, const Family& family) {
  for (const RefusedKey& key : kForeign) {
    if (!is_read(family, key.key)) refuse_other_values(reader, key);
  }
  if (family.window == WindowRule::none) refuse_layer_types(reader);
}

}  // namespace assay::models
