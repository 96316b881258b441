#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/elementwise.h"

namespace assay::engine {

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {
  if (!(options.temperature >= 0.0F) || !std::isfinite(options.temperature)) {
    fail(ErrorCode::usage, "temperature must be a number from 0, is {}", options.temperature);
  }
  if (options.top_k < 0) fail(ErrorCode::usage, "top_k must be from 0, is {}", options.top_k);
  if (!(options.top_p > 0.0F && options.top_p <= 1.0F)) {
    fail(ErrorCode::usage, "top_p must be above 0 and at most 1, is {}", options.top_p);
  }
}

/// Puts the candidates first in order_, the likeliest first where it matters; returns their number.
std::size_t Sampler::cut(std::span<const float> logits) {
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  const std::size_t most =
      options_.top_k > 0 ? std::min<std::size_t>(options_.top_k, logits.size()) : logits.size();
  if (most < logits.size() || options_.top_p < 1.0F) {
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(most),
                      order_.end(), [&](TokenId a, TokenId b) {
                        return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
                      });
  }
  return most;
}

TokenId Sampler::pick(std::span<const float> logits) {
  const auto best = static_cast<TokenId>(kernels::cpu::argmax(logits));
  if (options_.temperature == 0.0F) return best;
  std::size_t count = cut(logits);
  const double largest = logits[best];
  weights_.resize(count);
  double total = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    weights_[i] = std::exp((logits[order_[i]] - largest) / options_.temperature);
    total += weights_[i];
  }
  if (options_.top_p < 1.0F) {
    double kept = 0.0;
    std::size_t i = 0;
    while (i < count && kept < options_.top_p * total) kept += weights_[i++];
    count = i;
    total = kept;
  }
  double rest = random_.uniform() * total;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    rest -= weights_[i];
    if (rest < 0.0) return order_[i];
  }
  return order_[count - 1];
}

}  // namespace assay::engine
