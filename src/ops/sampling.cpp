#include "ops/sampling.h"

#include <cmath>

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"

namespace assay::ops {

std::int64_t argmax(std::span<const float> logits) {
  // log(sum(exp)) is NaN for a NaN anywhere and infinite for +infinity or no finite logit at all.
  if (logits.empty() || !std::isfinite(kernels::cpu::log_sum_exp(logits))) {
    fail(ErrorCode::numeric, "the {} logits to choose from are not finite", logits.size());
  }
  return kernels::cpu::argmax(logits);
}

void sample(tensor::MatrixView logits, const Draw* draws, std::int32_t* tokens, Context& context) {
  if (logits.cols > kernels::cpu::kMostWeights) {
    fail(ErrorCode::unsupported, "sampling from {} tokens: at most {} are supported", logits.cols,
         kernels::cpu::kMostWeights);
  }
  const auto on_cpu = [&] {
    context.pool.parallel_for(logits.rows, [&](int, std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::span row(logits.row<float>(r), static_cast<std::size_t>(logits.cols));
        tokens[r] = kernels::cpu::draw_token(row, draws[r]);
      }
    });
  };
  dispatch(logits, context, on_cpu, [&](CudaQueue& queue) {
    kernels::cuda::draw_tokens(logits, draws, tokens, queue.stream);
  });
}

}  // namespace assay::ops
