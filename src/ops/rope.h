#pragma once

#include "kernels/cpu/elementwise.h"
#include "ops/check.h"

namespace assay::ops {

/// Rotates the heads of x[rows, heads * head_dim] in place; one position per row, head_dim / 2
/// frequencies or, where only the first columns of a head are rotated, fewer. What is rotated is
/// multiplied by `magnitude`.
inline void rope(tensor::MatrixView x, std::span<const std::int32_t> positions,
                 std::span<const float> inverse_frequencies, std::int64_t head_dim,
                 base::ThreadPool& pool, float magnitude = 1.0F) {
  check_size("rope", "positions", positions.size(), x.rows);
  if (head_dim <= 0 || head_dim % 2 != 0 || x.cols % head_dim != 0) {
    fail(ErrorCode::internal, "rope: {} columns are no heads of {}", x.cols, head_dim);
  }
  if (inverse_frequencies.empty() || std::ssize(inverse_frequencies) > head_dim / 2) {
    fail(ErrorCode::internal, "rope: {} frequencies for heads of {}", inverse_frequencies.size(),
         head_dim);
  }
  kernels::cpu::rope(x, positions, inverse_frequencies, head_dim, pool, magnitude);
}

}  // namespace assay::ops
