#pragma once

#include "ops/memory.h"

namespace assay::ops {

/// y[r] = x[index[r]]; equal types and columns, every index a row of x, else an internal error.
/// Rows of a weight are read with Linear::lookup.
void gather_rows(tensor::MatrixView x, const Indices& index, tensor::MatrixView y,
                 Context& context);

/// sums[index[r]] += factors[r] * x[r]; sums is f32 with the columns of x, every index one of its
/// rows and there once, else an internal error. On the host.
void add_scaled_rows(tensor::MatrixView x, std::span<const std::int32_t> index,
                     std::span<const float> factors, tensor::MatrixView sums, Context& context);

}  // namespace assay::ops
