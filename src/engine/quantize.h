#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/progress.h"
#include "engine/source.h"
#include "precision/recipe.h"

namespace assay::engine {

struct QuantizeOptions {
  int threads = 0;  ///< 0: base::available_threads()
  base::ProgressSink progress;
};

struct QuantizeResult {
  std::int64_t layers = 0;        ///< quantized
  std::int64_t bytes_before = 0;  ///< of all tensors
  std::int64_t bytes_after = 0;
  std::vector<std::string> copied;   ///< files beside the weights
  std::vector<std::string> notices;  ///< of the recipe
};

/// Writes a Hugging Face folder in the form that transformers writes with bitsandbytes:
/// model.safetensors with quantized layers, config.json with `quantization_config`, and the
/// tokenizer's files. The recipe's quantized layers must all be nf4, fp4 or int8; what it does not
/// quantize keeps its stored type. `folder` must not exist or be empty; config.json is written
/// last, so that an interrupted folder is no model. Errors: usage (folder, recipe), unsupported
/// (a source that is quantized or is GGUF), numeric naming the tensor, io.
QuantizeResult write_quantized(const ModelSource& source, const precision::Recipe& recipe,
                               const std::filesystem::path& folder, const QuantizeOptions& options);

}  // namespace assay::engine
