#pragma once

#include <span>
#include <vector>

#include "base/hash.h"
#include "engine/model.h"

namespace assay::engine {

/// Picks the next token from logits: the largest at temperature 0, else a draw from
/// softmax(logits / temperature) cut to the top_k largest and then to the fewest of these that have
/// top_p of their probability. Usage error for options out of range.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);
  [[nodiscard]] TokenId pick(std::span<const float> logits);

 private:
  [[nodiscard]] std::size_t cut(std::span<const float> logits);

  SamplingOptions options_;
  base::Random random_;
  std::vector<TokenId> order_;
  std::vector<double> weights_;
};

}  // namespace assay::engine
