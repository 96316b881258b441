#pragma once

#include <cstdint>
#include <vector>

#include "models/config.h"
#include "models/config_reader.h"
#include "models/family.h"

namespace assay::models {

/// 1 / theta^(2i / width) for i < width / 2, every step rounded to f32 as transformers does.
[[nodiscard]] std::vector<float> rope_frequencies(float theta, std::int64_t width);

/// What YaRN is told; the keys of transformers.
struct Yarn {
  double factor = 1.0;
  std::int64_t context = 0;  ///< positions of the first training
  double fast = 32.0;        ///< turns over that context from which a frequency is kept
  double slow = 1.0;         ///< and up to which it is divided by the factor
  bool truncate = true;      ///< the two bounds are moved outwards to whole frequencies
};
/// Divisors of the frequencies (arXiv:2309.00071, as transformers computes them).
[[nodiscard]] std::vector<float> yarn_divisors(const Yarn& yarn, double theta, std::int64_t width);
/// 0.1 mscale ln(factor) + 1, the paper's magnitude for mscale 1.
[[nodiscard]] double yarn_magnitude(double factor, double mscale = 1.0);

/// RoPE's keys of config.json, after the sizes: transformers 5 writes rope_parameters, older
/// versions rope_theta, rope_scaling and partial_rotary_factor. Scalings "linear", "llama3" and
/// "yarn" are known; others are refused by their key, and so is what the family does not heed.
void read_rope(const ConfigReader& reader, const RopeKeys& keys, ModelConfig& config);

}  // namespace assay::models
