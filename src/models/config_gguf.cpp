#include "models/config_limits.h"
#include "models/config_reader.h"
#include "models/family.h"

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

/// Keys that change the arithmetic, with the only value that is implemented.
void refuse_variants(const Keys& keys) {
  const std::string type = keys.key("rope.scaling.type");
  const std::string scaling = keys.reader.text(type, "none");
  if (scaling != "none") {
    keys.reader.refuse(type,
                       fmt::format("is \"{}\", which is not implemented; only none is", scaling));
  }
  for (const std::string_view name : {"rope.scale_linear", "rope.scaling.factor"}) {
    const double factor = keys.number(name, 0.0, 1e9, 1.0);
    if (factor != 1.0 && factor != 0.0) {
      keys.reader.refuse(keys.key(name),
                         fmt::format("is {}, which is not implemented; only 1 is", factor));
    }
  }
  if (keys.integer("expert_count", 0, INT32_MAX, 0) != 0) {
    keys.reader.refuse(keys.key("expert_count"),
                       "is not 0: mixtures of experts are not implemented");
  }
}

void read_heads(const Keys& keys, ModelConfig& config) {
  config.heads = keys.integer("attention.head_count", 1, kMaxWidth);
  config.kv_heads = keys.integer("attention.head_count_kv", 1, kMaxWidth, config.heads);
  if (keys.reader.find(keys.key("attention.key_length")) != nullptr) {
    config.head_dim = keys.integer("attention.key_length", 1, kMaxWidth);
  }
  check_heads(keys.reader.source(), config);
  for (const std::string_view name : {"attention.value_length", "rope.dimension_count"}) {
    const std::int64_t width = keys.integer(name, 1, kMaxWidth, config.head_dim);
    if (width != config.head_dim) {
      keys.reader.refuse(keys.key(name),
                         fmt::format("is {}, but a head is {} wide; that is not implemented", width,
                                     config.head_dim));
    }
  }
}

/// Llama 3's scaling of RoPE is a tensor: what each frequency is divided by.
void read_rope(const Keys& keys, const files::TensorFile& file, ModelConfig& config) {
  config.rope_theta = static_cast<float>(keys.number("rope.freq_base", 1.0, 1e12, 10000.0));
  const files::StoredTensor* stored = file.find("rope_freqs.weight");
  if (stored == nullptr) return;
  const auto count = config.rotary_width / 2;
  if (stored->type != "F32" || stored->shape != std::vector<std::int64_t>{count}) {
    keys.reader.refuse(stored->name, fmt::format("must be {} values of F32", count));
  }
  config.rope_divisors.resize(static_cast<std::size_t>(count));
  const precision::EncodedTensor divisors = file.encoded(*stored);
  precision::info(divisors.encoding).decode_row(divisors, 0, config.rope_divisors);
  for (const float divisor : config.rope_divisors) {
    if (!(divisor >= 1e-6F && divisor <= 1e12F)) {
      keys.reader.refuse(stored->name, fmt::format("has the divisor {}", divisor));
    }
  }
}

void read_window(const Keys& keys, const Family& family, ModelConfig& config) {
  const std::int64_t window = keys.integer("attention.sliding_window", 0, kMaxPositions, 0);
  if (window == 0) return;
  if (family.window == WindowRule::by_layer) {
    keys.reader.refuse(keys.key("attention.sliding_window"),
                       "does not say which layers have it, which is not implemented");
  }
  config.windows.assign(static_cast<std::size_t>(config.blocks), window);
}

std::int64_t vocabulary_of(const Keys& keys) {
  const Json* tokens = keys.reader.find("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->is_array() && !tokens->empty()) {
    return static_cast<std::int64_t>(tokens->size());
  }
  return keys.integer("vocab_size", 1, kMaxVocabulary);
}

void read_special_ids(const ConfigReader& reader, ModelConfig& config) {
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
  refuse_variants(keys);

  ModelConfig config;
  apply_family(*family, config);
  config.architecture = family->architectures.front().name;
  config.head = HeadKind::language_model;
  config.activation = family->gated_mlp ? kernels::cpu::UnaryFunction::silu
                                        : kernels::cpu::UnaryFunction::gelu_tanh;
  config.hidden = keys.integer("embedding_length", 1, kMaxWidth);
  config.blocks = keys.integer("block_count", 1, kMaxBlocks);
  config.intermediate = keys.integer("feed_forward_length", 1, kMaxIntermediate);
  config.max_positions = keys.integer("context_length", 1, kMaxPositions);
  config.norm_eps = static_cast<float>(keys.number(family->norm == NormKind::rms
                                                       ? "attention.layer_norm_rms_epsilon"
                                                       : "attention.layer_norm_epsilon",
                                                   0.0, 1.0));
  config.vocabulary = vocabulary_of(keys);
  read_heads(keys, config);
  if (config.position == PositionKind::rope) read_rope(keys, file, config);
  read_window(keys, *family, config);
  read_special_ids(reader, config);
  config.tied_head = file.find("output.weight") == nullptr;
  config.attention_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.output_bias = file.find("blk.0.attn_output.bias") != nullptr;
  config.mlp_bias = file.find("blk.0.ffn_up.bias") != nullptr;
  return config;
}

}  // namespace assay::models
