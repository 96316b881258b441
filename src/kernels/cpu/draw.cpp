#include "kernels/cpu/draw.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/cpu/elementwise.h"

namespace assay::kernels::cpu {
namespace {

struct Candidate {
  std::int32_t index;
  float logit;
  std::uint64_t weight;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.index < b.index;
}

/// Those with a weight, in the order of the vocabulary; none if the logits are not finite.
std::vector<Candidate> candidates_of(std::span<const float> logits, float temperature) {
  std::vector<Candidate> candidates;
  if (logits.empty() || std::ranges::any_of(logits, [](float v) { return std::isnan(v); }))
    return {};
  const double largest = *std::ranges::max_element(logits);
  if (!std::isfinite(largest)) return {};
  const double scale = weight_scale(temperature);
  candidates.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const std::uint64_t weight = weight_of(largest - static_cast<double>(logits[i]), scale);
    if (weight > 0) candidates.push_back({static_cast<std::int32_t>(i), logits[i], weight});
  }
  return candidates;
}

std::uint64_t total_weight(const std::vector<Candidate>& candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Candidate& c) { return sum + c.weight; });
}

void keep_top_k(std::vector<Candidate>& candidates, std::int32_t top_k) {
  const auto keep = std::min(candidates.size(), static_cast<std::size_t>(top_k));
  std::ranges::nth_element(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(keep),
                           likelier);
  candidates.resize(keep);
}

void keep_top_p(std::vector<Candidate>& candidates, float top_p) {
  std::ranges::sort(candidates, likelier);
  const std::uint64_t wanted = wanted_weight(total_weight(candidates), top_p);
  std::uint64_t sum = 0;
  std::size_t keep = 0;
  while (keep < candidates.size() && sum < wanted) sum += candidates[keep++].weight;
  candidates.resize(keep);
}

}  // namespace

std::int32_t draw_token(std::span<const float> logits, const Draw& draw) {
  const auto [uniform, temperature, top_p, top_k] = resolved(draw);
  std::vector<Candidate> candidates = candidates_of(logits, temperature);
  if (candidates.empty()) return -1;
  if (top_k > 0) keep_top_k(candidates, top_k);
  if (top_p < 1.0F) keep_top_p(candidates, top_p);
  std::ranges::sort(candidates, {}, &Candidate::index);
  std::uint64_t wanted = drawn_weight(total_weight(candidates), uniform);
  for (const Candidate& c : candidates) {
    if (wanted <= c.weight) return c.index;
    wanted -= c.weight;
  }
  return candidates.back().index;
}

}  // namespace assay::kernels::cpu
