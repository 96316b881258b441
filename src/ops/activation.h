#pragma once

#include "kernels/cpu/elementwise.h"
#include "ops/check.h"

namespace assay::ops {

using kernels::cpu::UnaryFunction;

/// x += y, rounded to x's type; equal shapes.
inline void add_in_place(tensor::MatrixView x, tensor::MatrixView y, base::ThreadPool& pool) {
  check_same_shape("add", x, y);
  kernels::cpu::add_in_place(x, y, pool);
}

/// x = f(x).
inline void apply(UnaryFunction function, tensor::MatrixView x, base::ThreadPool& pool) {
  kernels::cpu::apply(function, x, pool);
}

/// gate = f(gate) * up; equal shapes.
inline void gated_product(UnaryFunction function, tensor::MatrixView gate, tensor::MatrixView up,
                          base::ThreadPool& pool) {
  check_same_shape("gated product", gate, up);
  kernels::cpu::gated_product(function, gate, up, pool);
}

}  // namespace assay::ops
