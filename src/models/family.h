#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "models/config.h"

namespace assay::models {

/// A size of a weight, as the family's table names it; extent() gives its value for a model.
enum class Extent {
  hidden,
  vocabulary,
  positions,
  token_types,
  intermediate,
  query,      ///< heads * head_dim
  key_value,  ///< kv_heads * head_dim
  head,       ///< head_dim
  heads,      ///< number of heads
  experts,    ///< number of experts
  labels
};
[[nodiscard]] std::int64_t extent(Extent e, const ModelConfig& config);

enum class RoleKind {
  matrix,  ///< multiplied
  table,   ///< read row by row
  vector   ///< a norm's weight, `rows` long
};

/// Whether a bias stands beside a weight: by the family, or by a field of the config.
enum class BiasRule { none, required, by_attention, by_output, by_mlp };

/// Which models of the family have the weight.
enum class Presence {
  always,
  classifier,
  language_model,
  token_types,
  head_norms,
  but_first_block  ///< in every block but the first
};

/// One weight of a family. A role with "{i}" stands for one weight in every block.
struct RoleSpec {
  std::string_view role;       ///< "blocks.{i}.attention.query"
  std::string_view name;       ///< Hugging Face module, without the backbone's prefix
  std::string_view gguf = {};  ///< GGUF name, or empty
  precision::LayerClass layer_class = precision::LayerClass::other;
  RoleKind kind = RoleKind::matrix;
  Extent rows = Extent::hidden;
  Extent cols = Extent::hidden;  ///< unused for vectors
  BiasRule bias = BiasRule::none;
  Presence presence = Presence::always;
  bool backbone = true;  ///< false: never has the backbone's prefix
  bool quantizable = true;
  bool interleaved = false;  ///< GGUF permutes the rows (attn_q, attn_k) where the family says so
  /// The layer is one of several whose rows one module of the file holds, one after another.
  std::string_view fused_name = {};         ///< that module; `name` is then ours
  std::string_view fused_gguf = {};         ///< its GGUF name
  std::span<const Extent> fused_rows = {};  ///< of all parts
  std::size_t fused_part = 0;               ///< which of them this layer is
  bool fused_by_turns = false;  ///< row i of the module is of part i modulo their number
  bool transposed = false;      ///< [columns, rows] in safetensors (GPT-2's Conv1D)
  bool experts = false;         ///< a matrix for each expert: [experts, rows, columns] in the file
  bool bare = false;            ///< a parameter, no module: "NAME" and "NAME_bias" in safetensors
};

/// A class of transformers that we can run. `prefixed`: its modules carry the backbone's prefix.
struct Architecture {
  std::string_view name;
  HeadKind head;
  bool prefixed;
};

/// A key of config.json and what it means when it is absent; an empty key is a size the family
/// lacks.
struct SizeKey {
  std::string_view key;
  std::optional<std::int64_t> fallback = std::nullopt;
};

/// The family's own names of what every config says.
struct ConfigKeys {
  SizeKey vocabulary, hidden, blocks, heads, intermediate, max_positions, token_types;
  std::string_view activation;
  std::string_view eps;
  std::optional<double> eps_value;  ///< where it is absent, or fixed where `eps` is empty
  bool tied_head = false;           ///< where tie_word_embeddings is absent
  /// Where head_dim is absent; 0: hidden / heads.
  std::int64_t head_dim = 0;
};

/// Which blocks see a window of positions only.
enum class WindowRule {
  none,
  every_block,  ///< sliding_window: in all of them, null: in none
  by_layer,     ///< use_sliding_window, max_window_layers, layer_types
  periodic      ///< layer_types, or one block without a window in every few
};

/// Where a periodic window is absent, and how large it is.
struct WindowPeriod {
  std::int64_t blocks = 0;      ///< of so many one has no window
  std::string_view key = {};    ///< config key of their number, or empty: fixed
  bool full_first = false;      ///< that one is the first of them, else the last
  std::string_view total = {};  ///< key of the width of a window to both sides, not sliding_window
};

/// RoPE's keys where they differ from Llama's; an empty `local` is a family with one RoPE.
struct RopeKeys {
  std::string_view theta = "rope_theta";
  double theta_value = 10000.0;  ///< where it is absent
  std::string_view local = {};   ///< base of blocks with a window
  double local_value = 10000.0;
  bool partial = false;        ///< heeds partial_rotary_factor
  bool yarn_truncates = true;  ///< GGUF files do not say it
};

/// Keys of Gemma's kind: a value where the family has the key (it is what an absent one means; 0
/// and null are none), none where it has not.
struct ScoreKeys {
  std::optional<double> query_scalar = std::nullopt;   ///< query_pre_attn_scalar
  std::optional<double> attention_cap = std::nullopt;  ///< attn_logit_softcapping
  std::optional<double> logit_cap = std::nullopt;      ///< final_logit_softcapping
  /// The model of so many blocks scales scores by its width over its heads, which GGUF files leave
  /// to the reader; others by the width of a head.
  std::int64_t width_scaled_blocks = 0;
};

/// Biases of the attention's layers.
enum class AttentionBias {
  by_config,  ///< attention_bias: all four
  without_output
};

/// A key whose other values change the arithmetic in a way that is not implemented. `accepted` is
/// JSON; a missing key and null are always accepted.
struct RefusedKey {
  std::string_view key;
  std::string_view accepted;
};

/// Everything that makes a family: plain data, one constant for each in families/, listed in
/// family.cpp.
struct Family {
  std::string_view model_type;
  std::string_view prefix;  ///< "bert."
  std::span<const Architecture> architectures;
  ConfigKeys keys;
  std::span<const RefusedKey> refused;
  std::span<const RoleSpec> roles;
  bool causal;
  NormKind norm;
  bool norm_first;
  PositionKind position;
  bool gated_mlp;
  kernels::cpu::UnaryFunction head_activation;  ///< between the classifier's two layers
  std::string_view gguf = {};                   ///< general.architecture, or empty: not read
  bool gguf_interleaved = false;                ///< the converter permutes rows for RoPE
  AttentionBias attention_bias = AttentionBias::by_config;
  bool head_norms = false;
  RopeKeys rope = {};
  WindowRule window = WindowRule::none;
  std::int64_t default_window = 0;  ///< where sliding_window is absent (not null)
  WindowPeriod period = {};
  ScoreKeys scores = {};
  bool norm_offset = false;       ///< norms multiply by 1 + weight; GGUF files hold the sum
  bool scaled_embedding = false;  ///< by sqrt(width)
  bool experts = false;
  /// Of GGUF files, which do not say it.
  kernels::cpu::UnaryFunction gguf_activation = kernels::cpu::UnaryFunction::silu;
  bool positions_after_pad = false;  ///< positions are counted from pad_token_id + 1
};

[[nodiscard]] std::span<const Family* const> all_families();
/// nullptr if there is none of that model_type.
[[nodiscard]] const Family* find_family(std::string_view model_type);
/// nullptr if no family has that general.architecture.
[[nodiscard]] const Family* find_gguf_family(std::string_view architecture);

}  // namespace assay::models
