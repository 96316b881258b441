#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "precision/encoding.h"

namespace assay::precision {

/// The classes that every family maps its own layers to. `other` = pooler and the like.
enum class LayerClass : std::uint8_t { attention, mlp, embeddings, head, other };
[[nodiscard]] std::string_view name_of(LayerClass c) noexcept;

/// What happens to the activations that enter a product.
enum class Activation : std::uint8_t {
  native,        ///< used in the compute type
  int8_dynamic,  ///< absmax per row at run time, outlier columns apart when threshold > 0
  fp8_dynamic,   ///< E4M3, absmax / 448 per row at run time
  int8_static    ///< int8 with the layer's calibrated scale
};
[[nodiscard]] std::string_view name_of(Activation a) noexcept;  ///< "int8_dynamic"

/// What one linear layer does.
struct Precision {
  std::string name;                ///< as in recipes: "bf16", "int8", "nf4", "stored"
  std::optional<Encoding> weight;  ///< none: as stored in the file
  Activation activation = Activation::native;
  bool double_quant = false;
  std::optional<tensor::DType> compute;  ///< none: the recipe's 16-bit type (fp32 for fp32)
  float threshold = 0.0F;                ///< outlier threshold of LLM.int8(); 0 = none
  bool calibrated_outliers = false;      ///< outlier columns fixed by calibration, not by the call
  /// int8_static: percentile of all magnitudes that becomes code 127; 100: the largest (minmax).
  double percentile = 100.0;
  bool quantized = false;  ///< anything but fp32, tf32, fp16, bf16

  /// Whether a CalibrationTable must say something about the layer's inputs.
  [[nodiscard]] bool needs_calibration() const {
    return calibrated_outliers || activation == Activation::int8_static;
  }
  /// Canonical form: every field that has an effect, sorted; equal precisions give equal JSON.
  [[nodiscard]] Json canonical() const;
};

/// Which data a recipe is calibrated with: a file of data, random tokens, or a table made before.
struct CalibrationData {
  std::string file;   ///< text, or pre-tokenized (files::is_pretokenized)
  std::string table;  ///< what `assay calibrate` wrote
  std::optional<std::uint64_t> random_seed = std::nullopt;
  int samples = 32;  ///< at most so many sequences
  int length = 256;  ///< tokens of each, where a text is cut (decoders) or tokens are random

  /// The file that is read, or empty.
  [[nodiscard]] const std::string& path() const { return table.empty() ? file : table; }
};

/// One weight matrix of a model, as the planner sees it. Names are Hugging Face's without
/// ".weight", for GGUF files too ("model.layers.0.mlp.down_proj").
struct LayerInfo {
  std::string name;
  LayerClass layer_class = LayerClass::other;
  int block = -1;         ///< index of the transformer block; -1 outside
  std::int64_t rows = 0;  ///< output channels; for embeddings the vocabulary
  std::int64_t cols = 0;  ///< input channels; for embeddings the width
  Encoding source = Encoding::f32;
  bool lookup = false;  ///< read row by row (embeddings), not multiplied
  bool quantizable =
      true;             ///< quantized by a recipe's default; false: only by a rule that names it
  std::string tied_to;  ///< shares its weight with the layer of this name; may be empty
  /// What a quantized checkpoint says the layer does; none: the encoding alone.
  std::optional<Precision> stored = std::nullopt;
};

/// fp32, tf32, fp16, bf16, int8, int8-weight-only, nf4, fp4, fp8, q4_0, q4_1, q8_0, stored. Usage
/// error with near names otherwise; names that this build knows but cannot run are `unsupported`.
[[nodiscard]] Precision parse_precision(const Json& value, const std::string& where);
[[nodiscard]] std::vector<std::string> precision_names();

/// A rule selects by exactly one of: class name, glob or "re:..." on Hugging Face names (`match`),
/// or block positions (`layers`: "first 5, last 5", "0-3,7").
struct Rule {
  std::string match;
  std::string layers;
  Precision precision;
};

/// Which layer gets which precision: a default and ordered rules; the last match wins.
struct Recipe {
  std::string name;
  Json spec;  ///< what parse_recipe read: reading it again gives this recipe
  Precision default_precision;
  std::vector<Rule> rules;
  std::optional<tensor::DType> sixteen_bit;  ///< bf16 or fp16; none: `auto`, resolved by device
  std::optional<tensor::DType> activations;  ///< residual stream; none: default's own type
  std::optional<tensor::DType> kv;           ///< KV cache; none: the activation type
  std::vector<std::string> skip_modules;     ///< llm_int8_skip_modules
  std::optional<CalibrationData> calibration;
  std::vector<std::string> notices;  ///< known keys without effect here, with the reason

  /// Whether any of its precisions does.
  [[nodiscard]] bool needs_calibration() const;
  /// The path of calibration data is left out: whoever asks for identity adds what is in the file.
  [[nodiscard]] Json canonical() const;
};

/// The recipe as read (a name or an object) with the path of its calibration data, which is
/// relative to `folder`, made absolute.
[[nodiscard]] Json with_absolute_paths(Json spec, const std::filesystem::path& folder);

/// Reads a recipe: a precision name, {default, rules}, a bare precision object, or
/// BitsAndBytesConfig keys. Unknown keys are usage errors with near names.
[[nodiscard]] Recipe parse_recipe(const std::string& name, const Json& value,
                                  const std::string& where);

/// From the command line: a name, an inline YAML/JSON object, or the path of a YAML file (which may
/// hold several under `recipes:`). Several names may be separated by commas.
[[nodiscard]] std::vector<Recipe> parse_recipe_argument(const std::string& argument);

/// The precision of every layer, in order, before any device is asked. `sixteen_bit` is what `auto`
/// resolves to. Errors (usage): a rule that matches nothing (near names), a quantized recipe that
/// ends on no layer. Notices are appended to `notices`.
struct Assignment {
  std::vector<Precision> layers;  ///< as many as `model` has, compute resolved
  tensor::DType activations = tensor::DType::f32;
  tensor::DType kv = tensor::DType::f32;
  std::vector<std::string> notices;
};
[[nodiscard]] Assignment assign(const Recipe& recipe, std::span<const LayerInfo> model,
                                tensor::DType sixteen_bit);

}  // namespace assay::precision
