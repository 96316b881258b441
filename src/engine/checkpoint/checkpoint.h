#pragma once

#include <map>
#include <memory>
#include <string>

#include "files/tensor_file.h"
#include "precision/recipe.h"

namespace assay::engine {

/// A Hugging Face checkpoint with quantized layers, seen as the model's own weights: a layer that
/// is stored as several tensors (codes, scales, zeros) is one tensor `NAME.weight` here, in its
/// encoding and with the shape [output channels, input channels]. Codes and scales are those of the
/// file; nothing is requantized.
struct QuantizedCheckpoint {
  std::string method;  ///< "bnb", "gptq", "awq", ...: first word of the source's name
  std::shared_ptr<const files::TensorFile> tensors;
  /// What each quantized layer does, by the name of its tensor.
  std::map<std::string, precision::Precision, std::less<>> layers;
};

/// Reads `quantization_config` of a config.json (`source` names it) and puts the layers of `file`
/// together. Errors: unsupported, naming the `quant_method` or the option that is not read;
/// bad_data naming file and tensor.
[[nodiscard]] QuantizedCheckpoint open_quantized(std::shared_ptr<const files::TensorFile> file,
                                                 const Json& quantization,
                                                 const std::string& source);

}  // namespace assay::engine
