#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/workspace.h"
#include "precision/plan.h"

namespace assay::kernels::cpu {

/// What a linear layer asks for: y[m, n] = x[m, k] . w[n, k]^T + bias[n].
struct LinearProblem {
  precision::Encoding encoding = precision::Encoding::f32;
  precision::Activation activation = precision::Activation::native;
  tensor::DType compute = tensor::DType::f32;  ///< type the activations have in the product
  bool double_quant = false;
  std::int64_t n = 0;
  std::int64_t k = 0;
};

/// A weight in a kernel's own layout: panels along N, whose width and inner order are the kernel's
/// secret. Columns beyond n are zero. It is the only copy: lookup() reads rows from it.
struct PackedWeight {
  std::int64_t n = 0;
  std::int64_t k = 0;
  tensor::Buffer codes;
  tensor::Buffer scales;
  precision::EncodedTensor rest;  ///< small parts kept as they are (double-quantization tables)
  [[nodiscard]] std::int64_t bytes() const;  ///< all that it holds, padding included
};

/// One of several products of the same x.
struct LinearProduct {
  const PackedWeight& weight;
  tensor::MatrixView y;
  std::span<const float> bias;
};

/// One call. x and y may have any floating type; x is converted to the compute type (a no-op in the
/// usual case), y is rounded once, from f32. y never overlaps x.
struct LinearCall {
  const PackedWeight& weight;
  tensor::MatrixView x;
  tensor::MatrixView y;
  std::span<const float> bias;  ///< n values or empty
  float threshold = 0.0F;       ///< int8_dynamic: outlier threshold, 0 = none
  /// int8_dynamic: the outlier columns, ascending, in place of those that reach the threshold in
  /// this call; nullptr: those.
  const std::vector<std::int32_t>* fixed_outliers = nullptr;
  float activation_range = 0.0F;  ///< int8_static: the magnitude that becomes code 127
  base::ThreadPool& pool;
  Workspace& workspace;
  std::int64_t outlier_columns = 0;  ///< out: how many this call found
  /// More weights of the same depth, in stored order, that are multiplied with x: it is converted
  /// or quantized once, and the panels of all are one parallel region. No bit of a result changes.
  std::span<const LinearProduct> others = {};
};

/// A row of the kernel table. run() and lookup() return the identity that their own code was
/// compiled with: that is what the ledger records.
struct LinearKernel {
  precision::KernelIdentity identity;
  precision::KernelIdentity lookup_identity;
  /// Pure function of shapes, types and CPU; on false `why` (if not null) says what is missing.
  bool (*supports)(const LinearProblem& problem, const CpuFeatures& cpu, std::string* why);
  /// Throws numeric when a weight or scale is NaN or infinite. Weights of another float type than
  /// the kernel's are not converted here: the encoding is that of `weight`.
  PackedWeight (*pack)(const precision::EncodedTensor& weight, base::ThreadPool& pool);
  precision::KernelIdentity (*run)(LinearCall& call);
  /// Rows `ids` of the dequantized weight into y (one row per id), rounded to y's type.
  precision::KernelIdentity (*lookup)(const PackedWeight& weight, std::span<const std::int32_t> ids,
                                      tensor::MatrixView y);
};

/// All kernels, best first; the chooser takes the first that supports the problem and whose path is
/// not above active_isa().
[[nodiscard]] std::span<const LinearKernel> linear_kernels();

}  // namespace assay::kernels::cpu
