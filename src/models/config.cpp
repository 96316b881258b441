#include "models/config.h"

#include <algorithm>
#include <utility>

#include "base/names.h"
#include "models/config_limits.h"
#include "models/config_reader.h"
#include "models/config_rope.h"
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

/// The window of each block, for families that have one.
void read_windows(const ConfigReader& reader, const Family& family, ModelConfig& config) {
  if (family.window == WindowRule::none) return;
  const bool by_layer = family.window == WindowRule::by_layer;
  if (by_layer && !reader.flag("use_sliding_window", false)) return;
  const std::int64_t fallback = reader.contains("sliding_window") ? 0 : family.default_window;
  const std::int64_t window = reader.integer("sliding_window", 1, kMaxPositions, fallback);
  if (window == 0) return;
  config.windows.assign(static_cast<std::size_t>(config.blocks), window);
  if (!by_layer) return;
  const Json* types = reader.find("layer_types");
  if (types == nullptr) {
    const std::int64_t full = reader.integer("max_window_layers", 0, kMaxBlocks, 28);
    std::fill_n(config.windows.begin(), std::min(full, config.blocks), 0);
    return;
  }
  if (!types->is_array() || std::ssize(*types) != config.blocks) {
    reader.refuse("layer_types", fmt::format("must be a list of {} texts", config.blocks));
  }
  for (std::size_t i = 0; i < types->size(); ++i) {
    const Json& type = (*types)[i];
    if (type == "full_attention") {
      config.windows[i] = 0;
    } else if (type != "sliding_attention") {
      reader.refuse("layer_types", fmt::format("has {}, which is not implemented; known are "
                                               "full_attention and sliding_attention",
                                               ConfigReader::shown(type)));
    }
  }
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
  for (const RefusedKey& refused : family.refused) {
    const Json* value = reader.find(refused.key);
    if (value == nullptr || *value == Json::parse(refused.accepted)) continue;
    reader.refuse(refused.key, fmt::format("is {}, which is not implemented; only {} is",
                                           ConfigReader::shown(*value), refused.accepted));
  }
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
  if (config.position == PositionKind::rope) read_rope(reader, family.partial_rotary, config);
  read_windows(reader, family, config);
  if (config.head == HeadKind::classifier) read_labels(reader, config);
  read_special_ids(reader, config);
  return config;
}

}  // namespace assay::models
