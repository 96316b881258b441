#include <fmt/ranges.h>

#include "base/io.h"
#include "base/names.h"
#include "models/synthetic.h"

namespace assay::models {
namespace {

struct Shape {
  std::string_view name;
  std::string_view config;  ///< as published, without what only concerns training and tokens
};

constexpr Shape kShapes[] = {
    {"tinyllama-1.1b", R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
      "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
      "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000,
      "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
      "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2})"},
    {"llama-3-8b", R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
      "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
      "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
      "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
      "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 128000,
      "eos_token_id": 128001})"},
    {"mistral-7b", R"({"model_type": "mistral", "architectures": ["MistralForCausalLM"],
      "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
      "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
      "max_position_embeddings": 32768, "sliding_window": 4096, "rms_norm_eps": 1e-5,
      "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false,
      "bos_token_id": 1, "eos_token_id": 2})"},
    // Llama's blocks in the sizes of InternLM2-20B.
    {"llama-20b", R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
      "hidden_size": 6144, "intermediate_size": 16384, "num_hidden_layers": 48,
      "num_attention_heads": 48, "num_key_value_heads": 8, "vocab_size": 92544,
      "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "rope_theta": 1000000.0,
      "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2})"},
    {"distilbert-base", R"({"model_type": "distilbert",
      "architectures": ["DistilBertForSequenceClassification"], "dim": 768, "hidden_dim": 3072,
      "n_layers": 6, "n_heads": 12, "vocab_size": 30522, "max_position_embeddings": 512,
      "activation": "gelu", "pad_token_id": 0, "num_labels": 2})"}};

}  // namespace

std::vector<std::string> synthetic_names() {
  std::vector<std::string> names;
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

Json synthetic_config(const std::string& like) {
  for (const Shape& shape : kShapes) {
    if (shape.name != like) continue;
    Json config = base::parse_json(shape.config, like);
    config["torch_dtype"] = "bfloat16";
    return config;
  }
  const auto known = synthetic_names();
  fail(ErrorCode::usage, "no synthetic model is like '{}'{}; known are {}", base::printable(like),
       base::did_you_mean(like, known), fmt::join(known, ", "));
}

}  // namespace assay::models
