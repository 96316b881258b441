#pragma once

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"
#include "ops/check.h"
#include "ops/context.h"

namespace assay::ops {

using kernels::cpu::UnaryFunction;

/// x += y, rounded to x's type; equal shapes.
inline void add_in_place(tensor::MatrixView x, tensor::MatrixView y, Context& context) {
  check_same_shape("add", x, y);
  dispatch(
      x, context, [&] { kernels::cpu::add_in_place(x, y, context.pool); },
      [&](CudaQueue& queue) { kernels::cuda::add_in_place(x, y, queue.stream); });
}

/// x *= factor.
inline void scale(tensor::MatrixView x, float factor, Context& context) {
  dispatch(
      x, context, [&] { kernels::cpu::scale(x, factor, context.pool); },
      [&](CudaQueue& queue) { kernels::cuda::scale(x, factor, queue.stream); });
}

/// x = cap * tanh(x / cap); cap > 0.
inline void soft_cap(tensor::MatrixView x, float cap, Context& context) {
  if (!(cap > 0)) fail(ErrorCode::internal, "soft cap: {} is not above 0", cap);
  dispatch(
      x, context, [&] { kernels::cpu::soft_cap(x, cap, context.pool); },
      [&](CudaQueue& queue) { kernels::cuda::soft_cap(x, cap, queue.stream); });
}

/// x = f(x).
inline void apply(UnaryFunction function, tensor::MatrixView x, Context& context) {
  dispatch(
      x, context, [&] { kernels::cpu::apply(function, x, context.pool); },
      [&](CudaQueue& queue) { kernels::cuda::apply(function, x, queue.stream); });
}

/// gate = f(gate) * up; equal shapes.
inline void gated_product(UnaryFunction function, tensor::MatrixView gate, tensor::MatrixView up,
                          Context& context) {
  check_same_shape("gated product", gate, up);
  dispatch(
      gate, context, [&] { kernels::cpu::gated_product(function, gate, up, context.pool); },
      [&](CudaQueue& queue) { kernels::cuda::gated_product(function, gate, up, queue.stream); });
}

/// gate = g sigmoid(alpha g) * (u + 1), g = min(gate, limit), u = up within +-limit; equal shapes.
inline void clamped_swiglu(float alpha, float limit, tensor::MatrixView gate, tensor::MatrixView up,
                           Context& context) {
  check_same_shape("clamped swiglu", gate, up);
  dispatch(
      gate, context, [&] { kernels::cpu::clamped_swiglu(alpha, limit, gate, up, context.pool); },
      [&](CudaQueue& queue) {
        kernels::cuda::clamped_swiglu(alpha, limit, gate, up, queue.stream);
      });
}

}  // namespace assay::ops
