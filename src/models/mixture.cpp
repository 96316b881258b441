// The mixture of experts: a router chooses the MLPs of every token.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/transformer_impl.h"
#include "ops/activation.h"
#include "ops/embedding.h"

namespace assay::models {

using tensor::MatrixView;

namespace {

/// The `used` largest of the scores, the first of equals, with the softmax among them.
void choose(std::span<const float> scores, std::int64_t used, std::int32_t row,
            std::vector<Share>& shares) {
  std::vector<std::size_t> best;
  for (std::int64_t i = 0; i < used; ++i) {
    std::size_t next = scores.size();
    for (std::size_t e = 0; e < scores.size(); ++e) {
      if (std::find(best.begin(), best.end(), e) != best.end()) continue;
      if (next == scores.size() || scores[e] > scores[next]) next = e;
    }
    best.push_back(next);
  }
  float total = 0.0F;
  for (const std::size_t e : best) total += std::exp(scores[e] - scores[best.front()]);
  for (const std::size_t e : best) {
    shares[e].rows.push_back(row);
    shares[e].weights.push_back(std::exp(scores[e] - scores[best.front()]) / total);
  }
}

}  // namespace

void Transformer::Impl::route(const Block& block, MatrixView x, ops::Context& context) {
  if (ops::on_cuda(x)) fail(ErrorCode::unsupported, "a mixture of experts on a CUDA device");
  Arena& here = arena(x.device);
  const MatrixView scores = here.get(here.routed, activations, x.rows, config.experts.count);
  linear(*block.router, x, scores, context);
  note_overflow(scores, context);
  shares.resize(static_cast<std::size_t>(config.experts.count));
  for (Share& share : shares) {
    share.rows.clear();
    share.weights.clear();
  }
  std::vector<float> values(static_cast<std::size_t>(config.experts.count));
  for (std::int64_t r = 0; r < x.rows; ++r) {
    tensor::load_row(scores, r, values);
    choose(values, config.experts.used, static_cast<std::int32_t>(r), shares);
  }
}

MatrixView Transformer::Impl::mixture(const Block& block, MatrixView x, ops::Context& context) {
  route(block, x, context);
  // Results are summed in f32, experts in ascending order, and rounded once.
  Arena& here = arena(x.device);
  const MatrixView sums = here.get(here.mixed, tensor::DType::f32, x.rows, config.hidden);
  for (std::int64_t r = 0; r < sums.rows; ++r) {
    std::memset(sums.row_bytes(r), 0, static_cast<std::size_t>(sums.cols) * sizeof(float));
  }
  for (std::size_t e = 0; e < shares.size(); ++e) {
    const Share& share = shares[e];
    const auto rows = std::ssize(share.rows);
    if (rows == 0) continue;
    const Expert& expert = block.experts[e];
    const MatrixView input = here.get(here.chosen, activations, rows, config.hidden);
    ops::gather_rows(x, share.rows, input, context);
    const MatrixView inner = here.get(here.gate, activations, rows, config.intermediate);
    const MatrixView wide = here.get(here.up, activations, rows, config.intermediate);
    linear_all({expert.gate, expert.up}, input, {inner, wide}, context);
    note_overflow(inner, context);
    note_overflow(wide, context);
    ops::clamped_swiglu(config.experts.alpha, config.experts.limit, inner, wide, context);
    const MatrixView result = here.get(here.expert_result, activations, rows, config.hidden);
    linear(*expert.down, inner, result, context);
    ops::add_scaled_rows(result, share.rows, share.weights, sums, context);
  }
  const MatrixView result = here.get(here.projected, activations, x.rows, config.hidden);
  for (std::int64_t r = 0; r < x.rows; ++r) {
    tensor::store_row(result, r, {sums.row<float>(r), static_cast<std::size_t>(sums.cols)});
  }
  return result;
}

}  // namespace assay::models
