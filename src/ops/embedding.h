#pragma once

#include "kernels/cpu/elementwise.h"

namespace assay::ops {

/// y[r] = x[index[r]]; equal types and columns, every index a row of x, else an internal error.
/// Rows of a weight are read with Linear::lookup.
void gather_rows(tensor::MatrixView x, std::span<const std::int32_t> index, tensor::MatrixView y);

}  // namespace assay::ops
