#include "models/config.h"

#include <cmath>
#include <utility>

#include "base/names.h"
#include "models/config_limits.h"
#include "models/config_reader.h"
#include "models/config_rope.h"
#include "models/config_variants.h"
#include "models/family.h"

namespace assay::models {
namespace {

using kernels::cpu::UnaryFunction;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const Family& family_of(const ConfigReader& reader) {
  const std::string type = reader.text("model_type");
  const Family* family = find_family(type);
  if (family == nullptr) {
    const std::vector<std::string> known = family_names();
    reader.refuse("model_type", fmt::format("is \"{}\", which is not known; known are {}{}", type,
                                            joined(known), base::did_you_mean(type, known)));
  }
  return *family;
}

const Architecture& architecture_of(const ConfigReader& reader, const Family& family) {
  const Json* value = reader.find("architectures");
  if (value == nullptr) reader.refuse("architectures", "is missing");
  if (!value->is_array() || value->size() != 1 || !(*value)[0].is_string()) {
    reader.refuse("architectures", "must be a list of one name, is " + ConfigReader::shown(*value));
  }
  const auto& wanted = (*value)[0].get_ref<const std::string&>();
  std::vector<std::string> known;
  for (const Architecture& architecture : family.architectures) {
    if (architecture.name == wanted) return architecture;
    known.emplace_back(architecture.name);
  }
  reader.refuse("architectures",
                fmt::format("names {}, which is not known; known for {} are {}",
                            ConfigReader::shown((*value)[0]), family.model_type, joined(known)));
}

UnaryFunction activation_of(const ConfigReader& reader, std::string_view key) {
  static constexpr std::pair<std::string_view, UnaryFunction> kNames[] = {
      {"gelu", UnaryFunction::gelu_erf},
      {"gelu_new", UnaryFunction::gelu_tanh},
      {"gelu_pytorch_tanh", UnaryFunction::gelu_tanh},
      {"relu", UnaryFunction::relu},
      {"silu", UnaryFunction::silu},
      {"swish", UnaryFunction::silu},
      {"tanh", UnaryFunction::tanh}};
  const std::string wanted = reader.text(key);
  std::vector<std::string> known;
  for (const auto& [name, function] : kNames) {
    if (name == wanted) return function;
    known.emplace_back(name);
  }
  reader.refuse(
      key, fmt::format("is \"{}\", which is not implemented; known are {}", wanted, joined(known)));
}

std::int64_t size_of(const ConfigReader& reader, const SizeKey& key, std::int64_t highest) {
  return key.key.empty() ? 0 : reader.integer(key.key, 1, highest, key.fallback);
}

void read_decoder(const ConfigReader& reader, const Family& family, ModelConfig& config) {
  config.kv_heads = reader.integer("num_key_value_heads", 1, kMaxWidth, config.heads);
  config.head_dim = reader.find("head_dim") == nullptr ? family.keys.head_dim
                                                       : reader.integer("head_dim", 1, kMaxWidth);
  const bool by_config = family.attention_bias == AttentionBias::by_config;
  config.output_bias = by_config && reader.flag("attention_bias", false);
  config.attention_bias = !by_config || config.output_bias;
  config.mlp_bias = reader.flag("mlp_bias", false);
  config.tied_head = reader.flag("tie_word_embeddings", family.keys.tied_head);
}

/// Positions are rows of the table behind that of the padding token.
void shift_positions(const ConfigReader& reader, ModelConfig& config) {
  config.padding_id = reader.integer("pad_token_id", 0, config.vocabulary - 1, 1);
  config.max_positions -= config.padding_id + 1;
  if (config.max_positions < 1) {
    reader.refuse("max_position_embeddings", "leaves no position after those up to pad_token_id");
  }
}

void read_sizes(const ConfigReader& reader, const Family& family, ModelConfig& config) {
  const ConfigKeys& keys = family.keys;
  config.vocabulary = size_of(reader, keys.vocabulary, kMaxVocabulary);
  config.hidden = size_of(reader, keys.hidden, kMaxWidth);
  config.blocks = size_of(reader, keys.blocks, kMaxBlocks);
  config.heads = size_of(reader, keys.heads, kMaxWidth);
  config.intermediate = size_of(reader, keys.intermediate, kMaxIntermediate);
  config.max_positions = size_of(reader, keys.max_positions, kMaxPositions);
  config.token_types = size_of(reader, keys.token_types, kMaxWidth);
  if (config.intermediate == 0) config.intermediate = 4 * config.hidden;  // GPT-2's n_inner
  config.kv_heads = config.heads;
  if (config.causal) read_decoder(reader, family, config);
  if (family.positions_after_pad) shift_positions(reader, config);
  config.norm_eps =
      static_cast<float>(keys.eps.empty() ? keys.eps_value.value()
                                          : reader.number(keys.eps, 0.0, 1.0, keys.eps_value));
  config.activation = activation_of(reader, keys.activation);
}

void read_labels(const ConfigReader& reader, ModelConfig& config) {
  const Json* names = reader.find("id2label");
  if (names == nullptr) {
    const std::int64_t count = reader.integer("num_labels", 1, kMaxLabels, 2);
    for (std::int64_t i = 0; i < count; ++i) config.labels.push_back(fmt::format("LABEL_{}", i));
    return;
  }
  if (!names->is_object() || names->empty() || names->size() > kMaxLabels) {
    reader.refuse("id2label", "must be an object of at least one label");
  }
  const ConfigReader inner(*names, fmt::format("{}: 'id2label'", reader.source()));
  for (std::size_t i = 0; i < names->size(); ++i) {
    config.labels.push_back(inner.text(std::to_string(i)));
  }
}

/// Gemma's factors and caps, where the family has them.
void read_scores(const ConfigReader& reader, const Family& family, ModelConfig& config) {
  const ScoreKeys& keys = family.scores;
  if (keys.query_scalar) {
    const double scalar = reader.number("query_pre_attn_scalar", 1e-6, 1e12, keys.query_scalar);
    config.attention_scale = static_cast<float>(1.0 / std::sqrt(scalar));
  }
  const auto cap = [&](std::string_view key, std::optional<double> absent) {
    if (!absent || (reader.contains(key) && reader.find(key) == nullptr)) return 0.0F;
    return static_cast<float>(reader.number(key, 0.0, 1e12, absent));
  };
  config.attention_soft_cap = cap("attn_logit_softcapping", keys.attention_cap);
  config.logit_soft_cap = cap("final_logit_softcapping", keys.logit_cap);
}

void read_experts(const ConfigReader& reader, ModelConfig& config) {
  Experts& experts = config.experts;
  experts.count = reader.integer("num_local_experts", 1, kMaxExperts);
  experts.used = reader.integer("num_experts_per_tok", 1, experts.count);
  experts.alpha = static_cast<float>(reader.number("swiglu_alpha", 0.0, 1e6, 1.702));
  experts.limit = static_cast<float>(reader.number("swiglu_limit", 1e-6, 1e30, 7.0));
}

void read_classifier(const ConfigReader& reader, ModelConfig& config) {
  const std::string pooling = reader.text("classifier_pooling", "cls");
  if (pooling != "cls" && pooling != "mean") {
    reader.refuse("classifier_pooling",
                  fmt::format("is \"{}\", which is not implemented; cls and mean are", pooling));
  }
  config.mean_classifier = pooling == "mean";
  read_labels(reader, config);
}

void read_special_ids(const ConfigReader& reader, ModelConfig& config) {
  const auto in_range = [&](const Json& id) {
    return id.is_number_integer() && id.get<std::int64_t>() >= 0 &&
           id.get<std::int64_t>() < config.vocabulary;
  };
  if (const Json* bos = reader.find("bos_token_id"); bos != nullptr && in_range(*bos)) {
    config.bos_id = bos->get<std::int64_t>();
  }
  const Json* eos = reader.find("eos_token_id");
  if (eos == nullptr) return;
  for (const Json& id : eos->is_array() ? *eos : Json::array({*eos})) {
    if (!in_range(id)) {
      reader.refuse("eos_token_id",
                    "must be ids of the vocabulary, is " + ConfigReader::shown(*eos));
    }
    config.eos_ids.push_back(id.get<std::int64_t>());
  }
}

void refuse_variants(const ConfigReader& reader, const Family& family) {
  refuse_foreign_keys(reader, family);
  for (const RefusedKey& refused : family.refused) refuse_other_values(reader, refused);
  if (const Json* heads = reader.find("pruned_heads"); heads != nullptr && !heads->empty()) {
    reader.refuse("pruned_heads", "is not empty, which is not implemented");
  }
}

}  // namespace

void apply_family(const Family& family, ModelConfig& config) {
  config.family = family.model_type;
  config.causal = family.causal;
  config.norm = family.norm;
  config.norm_first = family.norm_first;
  config.position = family.position;
  config.gated_mlp = family.gated_mlp;
  config.head_activation = family.head_activation;
  config.head_norms = family.head_norms;
  config.norm_offset = family.norm_offset;
}

void check_heads(const std::string& source, ModelConfig& config) {
  if (config.head_dim == 0) {
    if (config.hidden % config.heads != 0) {
      fail(ErrorCode::bad_data, "{}: {} heads do not divide a width of {}", source, config.heads,
           config.hidden);
    }
    config.head_dim = config.hidden / config.heads;
  }
  if (config.heads % config.kv_heads != 0) {
    fail(ErrorCode::bad_data, "{}: {} key/value heads do not divide {} heads", source,
         config.kv_heads, config.heads);
  }
  if (config.position == PositionKind::rope && config.head_dim % 2 != 0) {
    fail(ErrorCode::bad_data, "{}: RoPE needs an even head width, not {}", source, config.head_dim);
  }
  if (config.heads * config.head_dim > kMaxIntermediate) {
    fail(ErrorCode::bad_data, "{}: {} heads of width {} are more than {} columns", source,
         config.heads, config.head_dim, kMaxIntermediate);
  }
  config.rotary_width = config.head_dim;
  config.attention_scale = 1.0F / std::sqrt(static_cast<float>(config.head_dim));
}

void scale_embedding(const Family& family, ModelConfig& config) {
  if (!family.scaled_embedding) return;
  config.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(config.hidden)));
}

ModelConfig config_from_json(const Json& json, const std::string& source) {
  const ConfigReader reader(json, source);
  const Family& family = family_of(reader);
  const Architecture& architecture = architecture_of(reader, family);
  refuse_variants(reader, family);

  ModelConfig config;
  apply_family(family, config);
  config.architecture = architecture.name;
  config.head = architecture.head;
  read_sizes(reader, family, config);
  check_heads(source, config);
  if (config.position == PositionKind::rope) read_rope(reader, family.rope, config);
  read_windows(reader, family, config);
  read_scores(reader, family, config);
  if (family.experts) read_experts(reader, config);
  scale_embedding(family, config);
  if (config.head == HeadKind::classifier) read_classifier(reader, config);
  read_special_ids(reader, config);
  return config;
}

}  // namespace assay::models
