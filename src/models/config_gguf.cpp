#include <cmath>

#include "models/config_limits.h"
#include "models/config_rope.h"
#include "models/config_variants.h"

namespace assay::models {
namespace {

/// The metadata of one architecture: its keys begin with the architecture's name.
struct Keys {
  const ConfigReader& reader;
  std::string prefix;

  [[nodiscard]] std::string key(std::string_view name) const {
    return prefix + "." + std::string(name);
  }
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t lowest,
                                     std::int64_t highest,
                                     std::optional<std::int64_t> fallback = std::nullopt) const {
    return reader.integer(key(name), lowest, highest, fallback);
  }
  [[nodiscard]] double number(std::string_view name, double lowest, double highest,
                              std::optional<double> fallback = std::nullopt) const {
    return reader.number(key(name), lowest, highest, fallback);
  }
};

/// What the readers below fill.
struct Target {
  const Keys& keys;
  const files::TensorFile& file;
  const Family& family;
  ModelConfig& config;
};

/// Keys that change the arithmetic, with the only value that is implemented.
void refuse_variants(const Target& t) {
  const auto only = [&](std::string_view name, double value) {
    const double found = t.keys.number(name, -1e12, 1e12, value);
    if (found == value) return;
    t.keys.reader.refuse(t.keys.key(name),
                         fmt::format("is {}, which is not implemented; only {} is", found, value));
  };
  only("rope.scaling.yarn_ext_factor", 1.0);
  only("rope.scaling.yarn_log_multiplier", 0.0);
  only("attention.max_alibi_bias", 0.0);
  only("attention.clamp_kqv", 0.0);
  only("logit_scale", 1.0);
  only("residual_scale", 1.0);
  only("embedding_scale", 1.0);
  if (!t.family.experts) only("expert_count", 0.0);
  if (!t.family.scores.attention_cap) only("attn_logit_softcapping", 0.0);
  if (!t.family.scores.logit_cap) only("final_logit_softcapping", 0.0);
  if (t.file.find("rope_factors_long.weight") != nullptr) {
    t.keys.reader.refuse("rope_factors_long.weight", "asks for longrope, which is not implemented");
  }
  const std::string pooling = t.keys.key("pooling_type");
  if (!t.family.causal && t.keys.reader.integer(pooling, 0, INT32_MAX, 1) != 1) {
    t.keys.reader.refuse(pooling, "is not 1: embeddings are means, nothing else is implemented");
  }
}

void read_heads(const Target& t) {
  const auto& [keys, file, family, config] = t;
  config.heads = keys.integer("attention.head_count", 1, kMaxWidth);
  config.kv_heads = keys.integer("attention.head_count_kv", 1, kMaxWidth, config.heads);
  if (keys.reader.find(keys.key("attention.key_length")) != nullptr) {
    config.head_dim = keys.integer("attention.key_length", 1, kMaxWidth);
  }
  check_heads(keys.reader.source(), config);
  const auto refuse_width = [&](std::string_view name, std::int64_t width) {
    if (width == t.config.head_dim) return;
    t.keys.reader.refuse(t.keys.key(name),
                         fmt::format("is {}, but a head is {} wide; that is not implemented", width,
                                     t.config.head_dim));
  };
  refuse_width("attention.value_length",
               keys.integer("attention.value_length", 1, kMaxWidth, config.head_dim));
  const std::int64_t turned = keys.integer("rope.dimension_count", 1, kMaxWidth, config.head_dim);
  if (!family.rope.partial || turned > config.head_dim || turned % 2 != 0) {
    refuse_width("rope.dimension_count", turned);
  }
  config.rotary_width = turned;
}

/// Llama 3's scaling of RoPE is a tensor: what each frequency is divided by.
void read_divisors(const Target& t, const files::StoredTensor& stored) {
  const auto& [keys, file, family, config] = t;
  const auto count = config.rotary_width / 2;
  if (stored.type != "F32" || stored.shape != std::vector<std::int64_t>{count}) {
    keys.reader.refuse(stored.name, fmt::format("must be {} values of F32", count));
  }
  config.rope.divisors.resize(static_cast<std::size_t>(count));
  const precision::EncodedTensor divisors = file.encoded(stored);
  precision::info(divisors.encoding).decode_row(divisors, 0, config.rope.divisors);
  for (const float divisor : config.rope.divisors) {
    if (!(divisor >= 1e-6F && divisor <= 1e12F)) {
      keys.reader.refuse(stored.name, fmt::format("has the divisor {}", divisor));
    }
  }
}

void read_yarn(const Target& t, double factor) {
  const auto& [keys, file, family, config] = t;
  Yarn yarn{.factor = factor};
  yarn.context =
      keys.integer("rope.scaling.original_context_length", 1, kMaxPositions, config.max_positions);
  yarn.fast = keys.number("rope.scaling.yarn_beta_fast", 1e-6, 1e12, 32.0);
  yarn.slow = keys.number("rope.scaling.yarn_beta_slow", 1e-6, 1e12, 1.0);
  yarn.truncate = family.rope.yarn_truncates;
  if (config.rope.theta <= 1.0F) {
    keys.reader.refuse(keys.key("rope.freq_base"), "must be above 1 for YaRN");
  }
  config.rope.magnitude = static_cast<float>(
      keys.number("rope.scaling.yarn_attn_factor", 1e-6, 1e12, 1.0) * yarn_magnitude(factor));
  config.rope.divisors = yarn_divisors(yarn, config.rope.theta, config.rotary_width);
}

void read_rope(const Target& t) {
  const auto& [keys, file, family, config] = t;
  config.rope.theta =
      static_cast<float>(keys.number("rope.freq_base", 1.0, 1e12, family.rope.theta_value));
  if (!family.rope.local.empty()) {
    config.local_rope.emplace();
    config.local_rope->theta =
        static_cast<float>(keys.number("rope.freq_base_swa", 1.0, 1e12, family.rope.local_value));
  }
  const double old = keys.number("rope.scale_linear", 0.0, 1e9, 1.0);
  const double factor = keys.number("rope.scaling.factor", 0.0, 1e9, old);
  const bool scaled = factor != 1.0 && factor != 0.0;
  const std::string name = keys.key("rope.scaling.type");
  const std::string type = keys.reader.text(name, scaled ? "linear" : "none");
  if (type == "linear" && scaled) {
    config.rope.divisors.assign(static_cast<std::size_t>(config.rotary_width / 2),
                                static_cast<float>(factor));
  } else if (type == "yarn" && scaled) {
    read_yarn(t, factor);
  } else if (type != "none" && type != "linear" && type != "yarn") {
    keys.reader.refuse(name, fmt::format("is \"{}\", which is not implemented; none, linear and "
                                         "yarn are",
                                         type));
  }
  const files::StoredTensor* stored = file.find("rope_freqs.weight");
  if (stored != nullptr) read_divisors(t, *stored);
}

void read_window(const Target& t) {
  const auto& [keys, file, family, config] = t;
  constexpr std::string_view kWindow = "attention.sliding_window";
  const bool periodic = family.window == WindowRule::periodic;
  const std::int64_t window =
      keys.integer(kWindow, periodic ? 1 : 0, kMaxPositions, periodic ? family.default_window : 0);
  if (window == 0) return;
  if (periodic) {
    set_periodic_windows(
        family, window,
        keys.integer("attention.sliding_window_pattern", 1, kMaxBlocks, family.period.blocks),
        config);
    return;
  }
  if (family.window == WindowRule::by_layer) {
    keys.reader.refuse(keys.key(kWindow),
                       "does not say which layers have it, which is not implemented");
  }
  config.windows.assign(static_cast<std::size_t>(config.blocks), window);
}

void read_scores(const Target& t) {
  const auto& [keys, file, family, config] = t;
  const ScoreKeys& scores = family.scores;
  if (scores.width_scaled_blocks > 0 && config.blocks == scores.width_scaled_blocks) {
    config.attention_scale =
        1.0F / std::sqrt(static_cast<float>(config.hidden) / static_cast<float>(config.heads));
  }
  config.attention_scale =
      static_cast<float>(keys.number("attention.scale", 1e-9, 1e9, config.attention_scale));
  if (scores.attention_cap) {
    config.attention_soft_cap =
        static_cast<float>(keys.number("attn_logit_softcapping", 0.0, 1e12, scores.attention_cap));
  }
  if (scores.logit_cap) {
    config.logit_soft_cap =
        static_cast<float>(keys.number("final_logit_softcapping", 0.0, 1e12, scores.logit_cap));
  }
}

/// The shape of the experts' activation is not in the file; it is what every published one has.
void read_experts(const Target& t) {
  const auto& [keys, file, family, config] = t;
  if (!family.experts) return;
  config.experts.count = keys.integer("expert_count", 1, kMaxExperts);
  config.experts.used = keys.integer("expert_used_count", 1, config.experts.count);
  config.intermediate =
      keys.integer("expert_feed_forward_length", 1, kMaxIntermediate, config.intermediate);
  config.experts.alpha = 1.702F;
  config.experts.limit = 7.0F;
}

std::int64_t vocabulary_of(const Keys& keys) {
  const Json* tokens = keys.reader.find("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->is_array() && !tokens->empty()) {
    return static_cast<std::int64_t>(tokens->size());
  }
  return keys.integer("vocab_size", 1, kMaxVocabulary);
}

void read_gguf_special_ids(const ConfigReader& reader, ModelConfig& config) {
  const std::int64_t last = config.vocabulary - 1;
  config.bos_id = reader.integer("tokenizer.ggml.bos_token_id", 0, last, -1);
  for (const std::string_view key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    const std::int64_t id = reader.integer(key, 0, last, -1);
    if (id >= 0) config.eos_ids.push_back(id);
  }
}

}  // namespace

ModelConfig config_from_gguf(const files::TensorFile& file) {
  const ConfigReader reader(file.metadata(), file.path().string());
  const std::string architecture = reader.text("general.architecture");
  const Family* family = find_gguf_family(architecture);
  if (family == nullptr) {
    std::string known;
    for (const Family* other : all_families()) {
      if (!other->gguf.empty()) known += (known.empty() ? "" : ", ") + std::string(other->gguf);
    }
    reader.refuse(
        "general.architecture",
        fmt::format("is \"{}\", which is not known in GGUF files; known: {}", architecture, known));
  }
  const Keys keys{reader, architecture};
  ModelConfig config;
  const Target target{keys, file, *family, config};
  refuse_variants(target);
  apply_family(*family, config);
  config.norm_offset = false;  // the converter has added it
  config.architecture = family->architectures.front().name;
  config.head = family->architectures.front().head;
  config.activation = family->gguf_activation;
  config.hidden = keys.integer("embedding_length", 1, kMaxWidth);
  config.blocks = keys.integer("block_count", 1, kMaxBlocks);
  config.intermediate = keys.integer("feed_forward_length", 1, kMaxIntermediate);
  config.max_positions = keys.integer("context_length", 1, kMaxPositions);
  config.norm_eps = static_cast<float>(keys.number(family->norm == NormKind::rms
                                                       ? "attention.layer_norm_rms_epsilon"
                                                       : "attention.layer_norm_epsilon",
                                                   0.0, 1.0));
  config.vocabulary = vocabulary_of(keys);
  read_heads(target);
  if (config.position == PositionKind::rope) read_rope(target);
  read_window(target);
  read_scores(target);
  read_experts(target);
  scale_embedding(*family, config);
  read_gguf_special_ids(reader, config);
  if (!family->keys.token_types.key.empty()) {
    config.token_types = reader.integer("tokenizer.ggml.token_type_count", 1, kMaxWidth, 2);
  }
  config.tied_head = family->causal && file.find("output.weight") == nullptr;
  config.attention_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.output_bias = file.find("blk.0.attn_output.bias") != nullptr;
  config.mlp_bias = file.find("blk.0.ffn_up.bias") != nullptr;
  return config;
}

}  // namespace assay::models
