#pragma once

#include <optional>
#include <string>

#include "precision/recipe.h"

// What the files that read and resolve recipes share.
namespace assay::precision {

/// fp32, fp16 or bf16 from JSON text; usage error that names `where` otherwise.
[[nodiscard]] tensor::DType parse_float_type(const Json& value, const std::string& where);
/// As above, bf16 and fp16 only; nothing for "auto".
[[nodiscard]] std::optional<tensor::DType> parse_sixteen_bit(const Json& value,
                                                             const std::string& where);
/// The weight, product and activation type that a precision without quantization is: "fp16" -> f16.
[[nodiscard]] Precision plain_precision(tensor::DType type);

/// The 16-bit type beside the quantized layers where the recipe itself fixes it: `sixteen_bit`,
/// else the default's own type or `compute`. Nothing: that of the device.
[[nodiscard]] std::optional<tensor::DType> own_sixteen_bit(const Recipe& recipe);

[[nodiscard]] bool is_four_bit(const Precision& precision);

/// Known BitsAndBytesConfig (and from_pretrained) keys in `value`?
[[nodiscard]] bool has_bnb_key(const Json& value);
[[nodiscard]] Recipe parse_bnb_config(const std::string& name, const Json& value,
                                      const std::string& where);
[[nodiscard]] const std::vector<std::string>& bnb_keys();

/// Usage error if `value` is no object or has a key that is not in `known`.
void check_keys(const Json& value, const std::vector<std::string>& known, const std::string& where);

}  // namespace assay::precision
