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

/// x *= factor.
inline void scale(tensor::MatrixView x, float factor, base::ThreadPool& pool) {
  kernels::cpu::scale(x, factor, pool);
}

/// x = cap * tanh(x / cap); cap > 0.
inline void soft_cap(tensor::MatrixView x, float cap, base::ThreadPool& pool) {
  if (!(cap > 0)) fail(ErrorCode::internal, "soft cap: {} is not above 0", cap);
  kernels::cpu::soft_cap(x, cap, pool);
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

/// gate = g sigmoid(alpha g) * (u + 1), g = min(gate, limit), u = up within +-limit; equal shapes.
inline void clamped_swiglu(float alpha, float limit, tensor::MatrixView gate, tensor::MatrixView up,
                           base::ThreadPool& pool) {
  check_same_shape("clamped swiglu", gate, up);
  kernels::cpu::clamped_swiglu(alpha, limit, gate, up, pool);
}

}  // namespace assay::ops
