#include "models/synthetic.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "models/weight_names.h"

namespace assay::models {
namespace {

using precision::SyntheticPatch;
using precision::SyntheticTensor;

/// The root mean square that the outliers alone give the residual stream, in units of an
/// embedding's deviation. As in published models they outweigh the rest, so that their size after a
/// norm hardly depends on what the blocks add.
constexpr double kOutlierShare = 3.0;
/// Variance of the rest, halfway through the blocks.
constexpr double kMiddleVariance = 2.0;
/// What a norm makes of an outlier column.
constexpr double kOutlier = 10.0;
/// What a value's row makes of them: noise of a deviation of 1.2 is added to it.
constexpr double kValueOutlier = 12.0;
/// Of gate and up each: silu(4.7) * 4.7 = 21.9, and beyond 6 while noise takes less than 2.1.
constexpr double kGateOutlier = 4.7;

/// `count` different numbers below `limit`, ascending.
std::vector<std::int64_t> choose(std::uint64_t seed, std::string_view what, std::int64_t limit,
                                 std::int64_t count) {
  const precision::SyntheticKey key = precision::synthetic_key(seed, what);
  std::set<std::int64_t> chosen;
  for (std::uint32_t i = 0; std::ssize(chosen) < std::min(limit, count); ++i) {
    chosen.insert(precision::philox(i, key.stream, key.key).first % limit);
  }
  return {chosen.begin(), chosen.end()};
}

float sign_of(std::size_t column) { return column % 2 == 0 ? 1.0F : -1.0F; }

class Filler {
 public:
  Filler(const ModelConfig& config, std::uint64_t seed, bool outliers)
      : config_(config), seed_(seed), outliers_(outliers) {
    if (outliers_) hidden_ = choose(seed, "outliers", config.hidden, kOutlierColumns);
  }

  SyntheticTensor fill(const NamedWeight& weight) const {
    SyntheticTensor tensor;
    tensor.name = weight.tensor;
    tensor.vector = weight.shape.size() == 1;
    tensor.rows = tensor.vector ? 1 : weight.shape[0];
    tensor.cols = weight.shape.back();
    tensor.key = precision::synthetic_key(seed_, weight.tensor);
    tensor.center = static_cast<float>(center(weight));
    tensor.scale = static_cast<float>(deviation(weight, tensor) / precision::kByteSumDeviation);
    if (outliers_) add_outliers(weight, tensor);
    return tensor;
  }

 private:
  static bool is(const NamedWeight& weight, std::string_view end) {
    return weight.role.ends_with(end);
  }
  static bool norm(const NamedWeight& weight) { return is(weight, "norm"); }

  /// Of the residual stream, halfway.
  double middle_rms() const {
    return std::sqrt(kMiddleVariance + (outliers_ ? kOutlierShare * kOutlierShare : 0.0));
  }
  /// Of an outlier column in the token embeddings.
  double embedded_outlier() const {
    return kOutlierShare * std::sqrt(static_cast<double>(config_.hidden) / kOutlierColumns);
  }

  /// Decoders: what is no outlier has a root mean square near 1 behind every norm.
  double center(const NamedWeight& weight) const {
    if (!norm(weight) || weight.bias) return 0.0;
    return config_.causal && outliers_ ? middle_rms() / std::sqrt(kMiddleVariance) : 1.0;
  }

  double deviation(const NamedWeight& weight, const SyntheticTensor& tensor) const {
    if (tensor.vector) return 0.02;
    if (is(weight, "embeddings.position")) return 0.5;
    if (is(weight, "embeddings.token")) return 1.0;
    return gain(weight) / std::sqrt(static_cast<double>(tensor.cols));
  }

  double gain(const NamedWeight& weight) const {
    const double depth =
        config_.norm_first ? std::sqrt(2.0 * static_cast<double>(config_.blocks)) : 2.0;
    if (is(weight, "attention.output")) return 1.0 / depth;
    // The outliers of the MLP's inner state are as strong as all the rest of it.
    if (is(weight, "mlp.down")) return (outliers_ && config_.causal ? 1.0 : 2.0) / depth;
    if (is(weight, "mlp.gate") || is(weight, "mlp.up")) return 0.5;
    return 1.0;
  }

  SyntheticPatch on_hidden(double size, std::vector<std::int64_t> rows = {}) const {
    SyntheticPatch patch{.rows = std::move(rows), .columns = hidden_, .values = {}};
    for (std::size_t i = 0; i < hidden_.size(); ++i) {
      patch.values.push_back(static_cast<float>(size) * sign_of(i));
    }
    return patch;
  }

  /// In rows of a matrix that reads the outlier columns: together they give `size`.
  SyntheticPatch reading(const NamedWeight& weight, double size, std::string_view which,
                         std::int64_t count) const {
    const double share = size / (kOutlier * kOutlierColumns);
    return on_hidden(
        share, choose(seed_, block_of(weight) + std::string(which), weight.shape.front(), count));
  }

  /// "blocks.3": gate and up of a block choose the same rows.
  static std::string block_of(const NamedWeight& weight) {
    return weight.role.substr(0, weight.role.find('.', weight.role.find('.') + 1));
  }

  void add_outliers(const NamedWeight& weight, SyntheticTensor& tensor) const {
    std::vector<SyntheticPatch>& patches = tensor.patches;
    if (norm(weight)) {
      add_to_norm(weight, tensor);
    } else if (config_.causal && is(weight, "embeddings.token")) {
      patches.push_back(on_hidden(embedded_outlier()));
    } else if (config_.causal && is(weight, "attention.value")) {
      // A key-value head's column stands in the output of each of its query heads.
      const std::int64_t shared = config_.heads / config_.kv_heads;
      const std::int64_t count = std::max<std::int64_t>(1, kOutlierColumns / shared);
      patches.push_back(reading(weight, kValueOutlier, "value", count));
    } else if (config_.causal && (is(weight, "mlp.gate") || is(weight, "mlp.up"))) {
      patches.push_back(reading(weight, kGateOutlier, "mlp", kOutlierColumns));
    } else if (weight.bias && (is(weight, "attention.value") || is(weight, "mlp.up"))) {
      const auto columns = choose(seed_, block_of(weight) + "bias", tensor.cols, kOutlierColumns);
      patches.push_back(
          {.rows = {}, .columns = columns, .values = std::vector<float>(columns.size(), kOutlier)});
    }
  }

  void add_to_norm(const NamedWeight& weight, SyntheticTensor& tensor) const {
    if (config_.causal) {
      const double factor = kOutlier * middle_rms() / embedded_outlier();
      SyntheticPatch patch = on_hidden(factor);
      for (float& value : patch.values) value = std::abs(value);
      tensor.patches.push_back(std::move(patch));
    } else if (weight.bias) {
      tensor.patches.push_back(on_hidden(kOutlier));
    } else {
      SyntheticPatch patch = on_hidden(0.1);  // what comes in must not swing them
      for (float& value : patch.values) value = std::abs(value);
      tensor.patches.push_back(std::move(patch));
    }
  }

  const ModelConfig& config_;
  std::uint64_t seed_;
  bool outliers_;
  std::vector<std::int64_t> hidden_;
};

}  // namespace

std::vector<SyntheticTensor> synthetic_tensors(const ModelConfig& config, std::uint64_t seed,
                                               bool outliers) {
  const Filler filler(config, seed, outliers);
  std::vector<SyntheticTensor> tensors;
  for (const NamedWeight& weight : named_weights(config)) tensors.push_back(filler.fill(weight));
  return tensors;
}

}  // namespace assay::models
