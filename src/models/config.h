#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "files/tensor_file.h"
#include "kernels/cpu/elementwise.h"
#include "precision/recipe.h"

namespace assay::models {

enum class NormKind { rms, layer };
enum class PositionKind { rope, learned };
enum class HeadKind { language_model, classifier, pooled_embedding };

/// How positions turn queries and keys.
struct Rope {
  float theta = 10000.0F;
  std::vector<float> divisors;  ///< of the frequencies, for long contexts; empty: all 1
  float magnitude = 1.0F;       ///< what is rotated is multiplied by it
};

/// An MLP of which a router chooses `used` of `count` for every token; count 0: one MLP for all.
struct Experts {
  std::int64_t count = 0;
  std::int64_t used = 0;
  float alpha = 0.0F;  ///< of the clamped SwiGLU, see ops::clamped_swiglu
  float limit = 0.0F;
};

/// Everything a forward pass must know about one model, whatever file it came from. An unusual
/// model adds a field here, not a class.
struct ModelConfig {
  std::string family;        ///< model_type: "llama", "bert"
  std::string architecture;  ///< "LlamaForCausalLM"
  HeadKind head = HeadKind::language_model;
  bool causal = true;  ///< decoder with a KV cache; false: encoder
  NormKind norm = NormKind::rms;
  bool norm_first = true;  ///< pre-norm (llama) or post-norm (bert)
  PositionKind position = PositionKind::rope;
  bool gated_mlp = true;  ///< act(gate) * up, or act(up)
  kernels::cpu::UnaryFunction activation = kernels::cpu::UnaryFunction::silu;
  bool tied_head = false;
  std::int64_t vocabulary = 0;
  std::int64_t hidden = 0;
  std::int64_t blocks = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t intermediate = 0;
  std::int64_t max_positions = 0;  ///< tokens that a sequence may have
  std::int64_t token_types = 0;    ///< 0: no segment embedding
  bool attention_bias = false;     ///< query, key, value; where the family leaves it to the model
  bool output_bias = false;        ///< of attention
  bool mlp_bias = false;
  bool head_norms = false;  ///< each head of query and key is normalized before RoPE
  float norm_eps = 1e-5F;
  bool norm_offset = false;      ///< norms multiply by 1 + weight
  float embedding_scale = 1.0F;  ///< of the token's row
  float attention_scale = 0.0F;  ///< of scores; 1 / sqrt(head_dim) unless the model says otherwise
  float attention_soft_cap = 0.0F;  ///< scores s become cap * tanh(s / cap); 0: they stay
  float logit_soft_cap = 0.0F;      ///< the same for the head's logits
  Rope rope;
  std::optional<Rope> local_rope;  ///< of blocks with a window, where they have their own
  std::int64_t rotary_width = 0;   ///< columns of a head that RoPE rotates, the first ones
  Experts experts;
  /// For each block how many positions a query sees, its own included; 0: all. Empty: all, always.
  std::vector<std::int64_t> windows;
  /// RoBERTa: positions are counted from padding_id + 1, and this token is not counted; -1: from 0.
  std::int64_t padding_id = -1;
  /// Classifier: reads the mean over the tokens, not the first one.
  bool mean_classifier = false;
  /// Classifier: between its two layers.
  kernels::cpu::UnaryFunction head_activation = kernels::cpu::UnaryFunction::tanh;
  std::vector<std::string> labels;  ///< classifier: in order of the label's id
  std::vector<std::int64_t> eos_ids;
  std::int64_t bos_id = -1;  ///< -1: none
};

/// From config.json: finds the family by model_type/architectures, reads its keys, refuses
/// (bad_data, naming file and key) unknown architectures, missing or wrongly typed keys, sizes out
/// of range and any rope/activation/attention variant that is not implemented.
[[nodiscard]] ModelConfig config_from_json(const Json& config, const std::string& source);

/// From GGUF metadata; the family by "general.architecture". Errors as above.
[[nodiscard]] ModelConfig config_from_gguf(const files::TensorFile& file);

/// One weight of the model: a matrix (a layer of the plan) or a vector (norm, bias).
struct WeightSpec {
  std::string role;    ///< "blocks.0.attention.query"
  std::string name;    ///< Hugging Face name, without ".weight"/".bias" for matrices
  std::string stored;  ///< name of the tensor in this file (prefixes such as "bert." vary)
  std::string bias;    ///< stored name of the bias vector, or empty
  bool matrix = true;
  bool transposed = false;     ///< stored as [columns, rows]
  std::int64_t experts = 0;    ///< matrices, one after another in the stored tensor; 0: one, plain
  std::int64_t first_row = 0;  ///< of the stored matrix (after transposing), where it is fused:
  std::int64_t row_step = 1;   ///< the layer has this one and every step-th behind it
  std::int64_t all_rows = 0;   ///< of so many; 0: not fused
  float offset = 0.0F;         ///< added to a norm's values: Gemma's norms multiply by 1 + weight
  bool interleaved_rows = false;  ///< GGUF: rows of attn_q/attn_k are permuted; undo on load
  precision::LayerInfo layer;     ///< for matrices
};

/// Every weight in the order of execution, checked against the file: missing tensors and wrong
/// shapes are bad_data errors that name tensor and file; unused tensors are returned as notices.
struct WeightMap {
  std::vector<WeightSpec> weights;
  std::vector<std::string> notices;
};
[[nodiscard]] WeightMap map_weights(const ModelConfig& config, const files::TensorFile& file);

/// Names of the families that are known, for error messages and docs.
[[nodiscard]] std::vector<std::string> family_names();

}  // namespace assay::models
