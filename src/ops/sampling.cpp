#include "ops/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/elementwise.h"

namespace assay::ops {
namespace {

/// log(sum(exp)) is NaN for a NaN anywhere and infinite for +infinity or no finite logit at all.
void check_logits(std::span<const float> logits) {
  if (logits.empty() || !std::isfinite(kernels::cpu::log_sum_exp(logits))) {
    fail(ErrorCode::numeric, "the {} logits to sample from are not finite", logits.size());
  }
}

struct Candidate {
  std::int64_t index;
  double weight;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.index < b.index;
}

void keep_top_k(std::vector<Candidate>& candidates, int top_k) {
  const auto keep = std::min(candidates.size(), static_cast<std::size_t>(top_k));
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(keep);
  std::nth_element(candidates.begin(), end, candidates.end(), likelier);
  candidates.resize(keep);
}

double total_weight(const std::vector<Candidate>& candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double sum, const Candidate& c) { return sum + c.weight; });
}

void keep_top_p(std::vector<Candidate>& candidates, double top_p) {
  std::sort(candidates.begin(), candidates.end(), likelier);
  const double wanted = top_p * total_weight(candidates);
  double sum = 0.0;
  std::size_t keep = 0;
  while (keep < candidates.size() && (keep == 0 || sum < wanted)) sum += candidates[keep++].weight;
  candidates.resize(keep);
}

}  // namespace

std::int64_t argmax(std::span<const float> logits) {
  check_logits(logits);
  return kernels::cpu::argmax(logits);
}

std::int64_t sample(std::span<const float> logits, float temperature, int top_k, float top_p,
                    base::Random& random) {
  const std::int64_t best = argmax(logits);
  if (!(temperature > 0.0F)) return best;
  const auto largest = static_cast<double>(logits[static_cast<std::size_t>(best)]);
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - largest) / temperature);
    if (weight > 0.0) candidates.push_back({static_cast<std::int64_t>(i), weight});
  }
  if (top_k > 0) keep_top_k(candidates, top_k);
  if (top_p < 1.0F) keep_top_p(candidates, static_cast<double>(top_p));
  double left = random.uniform() * total_weight(candidates);
  for (const Candidate& c : candidates) {
    left -= c.weight;
    if (left < 0.0) return c.index;
  }
  return candidates.back().index;
}

}  // namespace assay::ops
