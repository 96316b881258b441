#pragma once

#include "kernels/cpu/elementwise.h"
#include "ops/check.h"

namespace assay::ops {

/// y = x / sqrt(mean(x^2) + eps) * weight, by rows; weight has x.cols values. y may be x.
inline void rms_norm(tensor::MatrixView x, std::span<const float> weight, float eps,
                     tensor::MatrixView y, base::ThreadPool& pool) {
  check_same_shape("rms_norm", x, y);
  check_size("rms_norm", "weight", weight.size(), x.cols);
  kernels::cpu::rms_norm(x, weight, eps, y, pool);
}

/// y = (x - mean) / sqrt(var + eps) * weight + bias, by rows; an empty bias is none. y may be x.
inline void layer_norm(tensor::MatrixView x, std::span<const float> weight,
                       std::span<const float> bias, float eps, tensor::MatrixView y,
                       base::ThreadPool& pool) {
  check_same_shape("layer_norm", x, y);
  check_size("layer_norm", "weight", weight.size(), x.cols);
  if (!bias.empty()) check_size("layer_norm", "bias", bias.size(), x.cols);
  kernels::cpu::layer_norm(x, weight, bias, eps, y, pool);
}

}  // namespace assay::ops
