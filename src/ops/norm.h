#pragma once

#include <span>

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"
#include "ops/check.h"
#include "ops/context.h"

namespace assay::ops {

// Weights and biases are in the memory of the device that holds x.

/// y = x / sqrt(mean(x^2) + eps) * weight, by rows; weight has x.cols values. y may be x.
inline void rms_norm(tensor::MatrixView x, std::span<const float> weight, float eps,
                     tensor::MatrixView y, Context& context) {
  check_same_shape("rms_norm", x, y);
  check_size("rms_norm", "weight", weight.size(), x.cols);
  dispatch(
      x, context, [&] { kernels::cpu::rms_norm(x, weight, eps, y, context.pool); },
      [&](CudaQueue& queue) { kernels::cuda::rms_norm(x, weight.data(), eps, y, queue.stream); });
}

/// y = (x - mean) / sqrt(var + eps) * weight + bias, by rows; an empty bias is none. y may be x.
inline void layer_norm(tensor::MatrixView x, std::span<const float> weight,
                       std::span<const float> bias, float eps, tensor::MatrixView y,
                       Context& context) {
  check_same_shape("layer_norm", x, y);
  check_size("layer_norm", "weight", weight.size(), x.cols);
  if (!bias.empty()) check_size("layer_norm", "bias", bias.size(), x.cols);
  dispatch(
      x, context, [&] { kernels::cpu::layer_norm(x, weight, bias, eps, y, context.pool); },
      [&](CudaQueue& queue) {
        kernels::cuda::layer_norm(x, weight.data(), bias.empty() ? nullptr : bias.data(), eps, y,
                                  queue.stream);
      });
}

}  // namespace assay::ops
