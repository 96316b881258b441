#pragma once

#include <span>

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"
#include "ops/check.h"
#include "ops/memory.h"

namespace assay::ops {

/// Rotates the heads of x[rows, heads * head_dim] in place; one position per row, head_dim / 2
/// frequencies (in the memory of x's device) or, where only the first columns of a head are
/// rotated, fewer. What is rotated is multiplied by `magnitude`.
inline void rope(tensor::MatrixView x, const Indices& positions,
                 std::span<const float> inverse_frequencies, std::int64_t head_dim,
                 Context& context, float magnitude = 1.0F) {
  check_size("rope", "positions", positions.host.size(), x.rows);
  if (head_dim <= 0 || head_dim % 2 != 0 || x.cols % head_dim != 0) {
    fail(ErrorCode::internal, "rope: {} columns are no heads of {}", x.cols, head_dim);
  }
  if (inverse_frequencies.empty() || std::ssize(inverse_frequencies) > head_dim / 2) {
    fail(ErrorCode::internal, "rope: {} frequencies for heads of {}", inverse_frequencies.size(),
         head_dim);
  }
  dispatch(
      x, context,
      [&] {
        kernels::cpu::rope(x, positions.host, inverse_frequencies, head_dim, context.pool,
                           magnitude);
      },
      [&](CudaQueue& queue) {
        kernels::cuda::rope(x, positions.device, inverse_frequencies.data(),
                            static_cast<int>(inverse_frequencies.size()), head_dim, magnitude,
                            queue.stream);
      });
}

}  // namespace assay::ops
