#include "models/config_limits.h"
#include "models/config_reader.h"
#include "models/family.h"

namespace assay::models {
namespace {

/// Keys that change the arithmetic, with the only value that is implemented.
void refuse_variants(const ConfigReader& reader, const files::TensorFile& file) {
  const std::string scaling = reader.text("llama.rope.scaling.type", "none");
  if (scaling != "none") {
    reader.refuse("llama.rope.scaling.type",
                  fmt::format("is \"{}\", which is not implemented; only none is", scaling));
  }
  for (const std::string_view key : {"llama.rope.scale_linear", "llama.rope.scaling.factor"}) {
    const double factor = reader.number(key, 0.0, 1e9, 1.0);
    if (factor != 1.0 && factor != 0.0) {
      reader.refuse(key, fmt::format("is {}, which is not implemented; only 1 is", factor));
    }
  }
  if (reader.integer("llama.expert_count", 0, INT32_MAX, 0) != 0) {
    reader.refuse("llama.expert_count", "is not 0: mixtures of experts are not implemented");
  }
  if (file.find("rope_freqs.weight") != nullptr) {
    reader.refuse("rope_freqs.weight", "is a tensor of RoPE scaling, which is not implemented");
  }
}

void read_heads(const ConfigReader& reader, ModelConfig& config) {
  config.heads = reader.integer("llama.attention.head_count", 1, kMaxWidth);
  config.kv_heads = reader.integer("llama.attention.head_count_kv", 1, kMaxWidth, config.heads);
  if (reader.find("llama.attention.key_length") != nullptr) {
    config.head_dim = reader.integer("llama.attention.key_length", 1, kMaxWidth);
  }
  check_heads(reader.source(), config);
  for (const std::string_view key :
       {"llama.attention.value_length", "llama.rope.dimension_count"}) {
    const std::int64_t width = reader.integer(key, 1, kMaxWidth, config.head_dim);
    if (width != config.head_dim) {
      reader.refuse(key, fmt::format("is {}, but a head is {} wide; that is not implemented", width,
                                     config.head_dim));
    }
  }
}

std::int64_t vocabulary_of(const ConfigReader& reader) {
  const Json* tokens = reader.find("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->is_array() && !tokens->empty()) {
    return static_cast<std::int64_t>(tokens->size());
  }
  return reader.integer("llama.vocab_size", 1, kMaxVocabulary);
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
  if (architecture != kLlama.model_type) {
    reader.refuse(
        "general.architecture",
        fmt::format("is \"{}\", which is not known in GGUF files; known is llama", architecture));
  }
  refuse_variants(reader, file);

  ModelConfig config;
  apply_family(kLlama, config);
  config.architecture = kLlama.architectures.front().name;
  config.head = HeadKind::language_model;
  config.activation = kernels::cpu::UnaryFunction::silu;
  config.hidden = reader.integer("llama.embedding_length", 1, kMaxWidth);
  config.blocks = reader.integer("llama.block_count", 1, kMaxBlocks);
  config.intermediate = reader.integer("llama.feed_forward_length", 1, kMaxIntermediate);
  config.max_positions = reader.integer("llama.context_length", 1, kMaxPositions);
  config.norm_eps =
      static_cast<float>(reader.number("llama.attention.layer_norm_rms_epsilon", 0.0, 1.0));
  config.rope_theta = static_cast<float>(reader.number("llama.rope.freq_base", 1.0, 1e12, 10000.0));
  config.vocabulary = vocabulary_of(reader);
  read_heads(reader, config);
  read_special_ids(reader, config);
  config.tied_head = file.find("output.weight") == nullptr;
  config.attention_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.mlp_bias = file.find("blk.0.ffn_up.bias") != nullptr;
  return config;
}

}  // namespace assay::models
