#pragma once

#include <cstdint>
#include <vector>

#include "models/config.h"
#include "models/config_reader.h"

namespace assay::models {

/// 1 / theta^(2i / width) for i < width / 2, every step rounded to f32 as transformers does.
[[nodiscard]] std::vector<float> rope_frequencies(float theta, std::int64_t width);

/// RoPE's keys of config.json, after the sizes: transformers 5 writes rope_parameters, older
/// versions rope_theta, rope_scaling and partial_rotary_factor. Scalings "linear" and "llama3" are
/// known; others are refused by their key, and so is a partial rotation unless `partial`.
void read_rope(const ConfigReader& reader, bool partial, ModelConfig& config);

}  // namespace assay::models
