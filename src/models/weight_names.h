#pragma once

#include <string>
#include <vector>

#include "models/config.h"

namespace assay::models {

/// A tensor that a model of some config has in a Hugging Face file.
struct NamedWeight {
  std::string role;                 ///< of the weight that it is or whose bias it is
  std::string tensor;               ///< "model.layers.0.mlp.down_proj.weight"
  std::vector<std::int64_t> shape;  ///< as stored
  bool bias = false;
};

/// All of them, in the order of execution. For families whose tensors each are one weight; internal
/// error for those that fuse, stack or transpose some.
[[nodiscard]] std::vector<NamedWeight> named_weights(const ModelConfig& config);

}  // namespace assay::models
