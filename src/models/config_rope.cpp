#include "models/config_rope.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "models/config_limits.h"

namespace assay::models {
namespace {

constexpr double kLargest = 1e12;

/// Every key of a rope object that is read here, and those that change nothing.
constexpr std::array kRopeKeys = {std::string_view("rope_type"),
                                  std::string_view("type"),
                                  std::string_view("rope_theta"),
                                  std::string_view("factor"),
                                  std::string_view("low_freq_factor"),
                                  std::string_view("high_freq_factor"),
                                  std::string_view("original_max_position_embeddings"),
                                  std::string_view("partial_rotary_factor"),
                                  std::string_view("beta_fast"),
                                  std::string_view("beta_slow"),
                                  std::string_view("truncate"),
                                  std::string_view("attention_factor"),
                                  std::string_view("mscale"),
                                  std::string_view("mscale_all_dim"),
                                  std::string_view("finetuned")};

/// Frequencies whose wave is longer than the first training's context / low are divided by
/// `factor`, those shorter than context / high by nothing, those between by something between:
/// "llama3" of transformers.
std::vector<float> llama3_divisors(const ConfigReader& rope, double theta, std::int64_t width,
                                   std::int64_t context) {
  const double factor = rope.number("factor", 1.0, kLargest);
  const double low = rope.number("low_freq_factor", 1e-6, kLargest);
  const double high = rope.number("high_freq_factor", 1e-6, kLargest);
  if (high <= low) rope.refuse("high_freq_factor", "must be larger than low_freq_factor");
  std::vector<float> divisors = rope_frequencies(static_cast<float>(theta), width);
  for (float& value : divisors) {
    const double wave = 2.0 * std::numbers::pi / static_cast<double>(value);
    const double share =
        std::clamp((static_cast<double>(context) / wave - low) / (high - low), 0.0, 1.0);
    value = static_cast<float>(1.0 / ((1.0 - share) / factor + share));
  }
  return divisors;
}

void read_yarn(const ConfigReader& reader, std::int64_t context, const ModelConfig& config,
               Rope& rope) {
  if (rope.theta <= 1.0F) reader.refuse("rope_theta", "must be above 1 for YaRN");
  Yarn yarn;
  yarn.context = context;
  yarn.factor = reader.number(
      "factor", 1.0, kLargest,
      std::max(1.0, static_cast<double>(config.max_positions) / static_cast<double>(context)));
  yarn.fast = reader.number("beta_fast", 1e-6, kLargest, 32.0);
  yarn.slow = reader.number("beta_slow", 1e-6, kLargest, 1.0);
  yarn.truncate = reader.flag("truncate", true);
  const double numerator = reader.number("mscale", 0.0, kLargest, 0.0);
  const double denominator = reader.number("mscale_all_dim", 0.0, kLargest, 0.0);
  double magnitude = yarn_magnitude(yarn.factor);
  if (numerator != 0.0 && denominator != 0.0) {
    magnitude = yarn_magnitude(yarn.factor, numerator) / yarn_magnitude(yarn.factor, denominator);
  }
  rope.magnitude = static_cast<float>(reader.number("attention_factor", 1e-6, kLargest, magnitude));
  rope.divisors = yarn_divisors(yarn, rope.theta, config.rotary_width);
}

class RopeReader {
 public:
  RopeReader(const ConfigReader& reader, const RopeKeys& keys, ModelConfig& config)
      : reader_(reader), keys_(keys), config_(config) {}

  void read() {
    config_.rope.theta = theta(keys_.theta, keys_.theta_value);
    if (!keys_.local.empty()) {
      config_.local_rope.emplace();
      config_.local_rope->theta = theta(keys_.local, keys_.local_value);
    }
    share_ = reader_.number("partial_rotary_factor", 0.0, 1.0, 1.0);
    for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
      const Json* value = reader_.find(key);
      if (value == nullptr) continue;
      if (value->is_object() && !keys_.local.empty() && nested(*value)) {
        read_nested(key, *value);
      } else {
        read_object(reader_.source(), key, *value, config_.rope);
      }
    }
    if (share_ != 1.0) turn_partly();
  }

 private:
  [[nodiscard]] float theta(std::string_view key, double fallback) const {
    return static_cast<float>(reader_.number(key, 1.0, kLargest, fallback));
  }

  static bool nested(const Json& value) {
    return value.contains("full_attention") || value.contains("sliding_attention");
  }

  void read_nested(std::string_view key, const Json& value) {
    const std::string place = fmt::format("{}: '{}'", reader_.source(), key);
    const ConfigReader parts(value, place);
    for (const auto& [name, part] : value.items()) {
      if (name != "full_attention" && name != "sliding_attention") {
        parts.refuse(name, "is not known: full_attention and sliding_attention are");
      }
      Rope& rope = name == "full_attention" ? config_.rope : *config_.local_rope;
      if (!part.is_null()) read_object(place, name, part, rope);
    }
  }

  /// What one object says; rope_scaling of transformers 4 has no rope_theta.
  void read_object(const std::string& place, std::string_view key, const Json& value, Rope& rope) {
    const ConfigReader inner(value, fmt::format("{}: '{}'", place, key));
    const auto refuse = [&](const std::string& problem) {
      fail(ErrorCode::bad_data, "{}: '{}' {}", place, key, problem);
    };
    for (const auto& [name, part] : value.items()) {
      if (part.is_object()) refuse("differs by layer, which is not implemented");
      if (std::find(kRopeKeys.begin(), kRopeKeys.end(), name) == kRopeKeys.end()) {
        inner.refuse(name, "is not known, and might change the positions");
      }
    }
    rope.theta = static_cast<float>(inner.number("rope_theta", 1.0, kLargest, rope.theta));
    share_ = inner.number("partial_rotary_factor", 0.0, 1.0, share_);
    if (share_ != 1.0 && !keys_.partial) {
      refuse("asks for a partial rotation, which is not implemented");
    }
    const std::string type = inner.text("rope_type", inner.text("type", "default"));
    // A key beside the object goes before the one in it, as in transformers.
    constexpr std::string_view kContext = "original_max_position_embeddings";
    const std::int64_t context =
        reader_.integer(kContext, 1, kMaxPositions,
                        inner.integer(kContext, 1, kMaxPositions,
                                      std::max<std::int64_t>(config_.max_positions, 1)));
    if (type == "linear") {
      const double factor = inner.number("factor", 1.0, kLargest);
      rope.divisors.assign(static_cast<std::size_t>(config_.rotary_width / 2),
                           static_cast<float>(factor));
    } else if (type == "llama3") {
      rope.divisors = llama3_divisors(inner, rope.theta, config_.rotary_width, context);
    } else if (type == "yarn") {
      read_yarn(inner, context, config_, rope);
    } else if (type != "default" && type != "none") {
      refuse(
          fmt::format("asks for RoPE scaling \"{}\", which is not implemented; known are linear, "
                      "llama3 and yarn",
                      type));
    }
  }

  void turn_partly() {
    if (!keys_.partial) {
      reader_.refuse("partial_rotary_factor",
                     fmt::format("is {}: a partial rotation is not implemented for {}", share_,
                                 config_.family));
    }
    config_.rotary_width =
        static_cast<std::int64_t>(static_cast<double>(config_.head_dim) * share_);
    const bool scaled = !config_.rope.divisors.empty();
    if (config_.rotary_width < 2 || config_.rotary_width % 2 != 0 || scaled) {
      reader_.refuse(
          "partial_rotary_factor",
          fmt::format("is {}: rotating {} of {} columns{} is not implemented", share_,
                      config_.rotary_width, config_.head_dim, scaled ? " with a scaling" : ""));
    }
  }

  const ConfigReader& reader_;
  const RopeKeys& keys_;
  ModelConfig& config_;
  double share_ = 1.0;
};

}  // namespace

std::vector<float> rope_frequencies(float theta, std::int64_t width) {
  std::vector<float> frequencies(static_cast<std::size_t>(width / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(width);
    frequencies[i] = 1.0F / static_cast<float>(std::pow(static_cast<double>(theta), exponent));
  }
  return frequencies;
}

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

std::vector<float> yarn_divisors(const Yarn& yarn, double theta, std::int64_t width) {
  const auto columns = static_cast<double>(width);
  // The frequency, counted from the fastest, that turns so often over the context.
  const auto index = [&](double turns) {
    return columns *
           std::log(static_cast<double>(yarn.context) / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(theta));
  };
  double low = index(yarn.fast);
  double high = index(yarn.slow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, columns - 1.0);
  if (low == high) high += 0.001;
  std::vector<float> divisors(static_cast<std::size_t>(width / 2));
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double divided = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    divisors[i] = static_cast<float>(1.0 / (divided / yarn.factor + (1.0 - divided)));
  }
  return divisors;
}

void read_rope(const ConfigReader& reader, const RopeKeys& keys, ModelConfig& config) {
  RopeReader(reader, keys, config).read();
}

}  // namespace assay::models
