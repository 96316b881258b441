#include "models/config_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/config_limits.h"

namespace assay::models {
namespace {

constexpr double kLargest = 1e12;

/// Frequencies whose wave is longer than the first training's context / low are divided by
/// `factor`, those shorter than context / high by nothing, those between by something between:
/// "llama3" of transformers.
std::vector<float> llama3_divisors(const ConfigReader& rope, const ModelConfig& config) {
  const double factor = rope.number("factor", 1.0, kLargest);
  const double low = rope.number("low_freq_factor", 1e-6, kLargest);
  const double high = rope.number("high_freq_factor", 1e-6, kLargest);
  const auto context = static_cast<double>(
      rope.integer("original_max_position_embeddings", 1, kMaxPositions, config.max_positions));
  if (high <= low) rope.refuse("high_freq_factor", "must be larger than low_freq_factor");
  std::vector<float> divisors = rope_frequencies(config.rope_theta, config.rotary_width);
  for (float& value : divisors) {
    const double wave = 2.0 * std::numbers::pi / static_cast<double>(value);
    const double share = std::clamp((context / wave - low) / (high - low), 0.0, 1.0);
    value = static_cast<float>(1.0 / ((1.0 - share) / factor + share));
  }
  return divisors;
}

/// What one object says; rope_scaling of transformers 4 has no rope_theta.
void read_part(const ConfigReader& reader, std::string_view key, const Json& value, bool partial,
               double& share, ModelConfig& config) {
  const ConfigReader rope(value, fmt::format("{}: '{}'", reader.source(), key));
  for (const auto& [name, part] : value.items()) {
    if (part.is_object()) reader.refuse(key, "differs by layer, which is not implemented");
  }
  config.rope_theta =
      static_cast<float>(rope.number("rope_theta", 1.0, kLargest, config.rope_theta));
  share = rope.number("partial_rotary_factor", 0.0, 1.0, share);
  if (share != 1.0 && !partial) {
    reader.refuse(key, "asks for a partial rotation, which is not implemented");
  }
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  if (type == "linear") {
    const double factor = rope.number("factor", 1.0, kLargest);
    config.rope_divisors.assign(static_cast<std::size_t>(config.rotary_width / 2),
                                static_cast<float>(factor));
  } else if (type == "llama3") {
    config.rope_divisors = llama3_divisors(rope, config);
  } else if (type != "default" && type != "none") {
    reader.refuse(key, fmt::format("asks for RoPE scaling \"{}\", which is not implemented; known "
                                   "are linear and llama3",
                                   type));
  }
}

}  // namespace

std::vector<float> rope_frequencies(float theta, std::int64_t width) {
  std::vector<float> frequencies(static_cast<std::size_t>(width / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(width);
    frequencies[i] = 1.0F / static_cast<float>(std::pow(static_cast<double>(theta), exponent));
  }
  return frequencies;
}

void read_rope(const ConfigReader& reader, bool partial, ModelConfig& config) {
  config.rope_theta = static_cast<float>(reader.number("rope_theta", 1.0, kLargest, 10000.0));
  double share = reader.number("partial_rotary_factor", 0.0, 1.0, 1.0);
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    if (const Json* value = reader.find(key); value != nullptr) {
      read_part(reader, key, *value, partial, share, config);
    }
  }
  if (share == 1.0) return;
  if (!partial) {
    reader.refuse(
        "partial_rotary_factor",
        fmt::format("is {}: a partial rotation is not implemented for {}", share, config.family));
  }
  config.rotary_width = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * share);
  if (config.rotary_width < 2 || config.rotary_width % 2 != 0 || !config.rope_divisors.empty()) {
    reader.refuse("partial_rotary_factor",
                  fmt::format("is {}: rotating {} of {} columns{} is not implemented", share,
                              config.rotary_width, config.head_dim,
                              config.rope_divisors.empty() ? "" : " with a scaling"));
  }
}

}  // namespace assay::models
