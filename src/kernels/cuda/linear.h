#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/cpu/linear.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/workspace.h"
#include "precision/plan.h"
#include "precision/synthetic.h"

namespace assay::kernels::cuda {

using kernels::cpu::LinearProblem;

/// A weight in a kernel's own layout, on one device. It is the only copy: lookup() reads rows of
/// it.
struct PackedWeight {
  std::int64_t n = 0;
  std::int64_t k = 0;
  tensor::Device device;
  tensor::Buffer codes;
  tensor::Buffer scales;
  tensor::Buffer extra;    ///< tables of double quantization, orders of columns
  float offset = 0.0F;     ///< of double-quantized scales
  std::int64_t group = 0;  ///< columns of a group: int4, uint8
  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(codes.size() + scales.size() + extra.size());
  }
};

/// y[m, n] = x[m, k] . w[n, k]^T + bias[n]; all memory is the device's. x and y are f32, f16 or
/// bf16; y is rounded once, from f32.
struct LinearCall {
  const PackedWeight& weight;
  tensor::MatrixView x;
  tensor::MatrixView y;
  const float* bias = nullptr;  ///< n values or nullptr
  float threshold = 0.0F;       ///< int8_dynamic: outlier threshold, 0 = none
  /// A row's result does not depend on how many rows the call has: one tile shape, no split of the
  /// depth. What scoring uses.
  bool fixed_tiles = false;
  Stream& stream;
  Workspace& workspace;
  /// Device counter to which the call adds the outlier columns that it found; may be nullptr.
  std::int32_t* outlier_columns = nullptr;
  /// int8_dynamic with a calibrated set: these columns in place of those of the call (device
  /// memory).
  const std::int32_t* fixed_outliers = nullptr;
  std::int32_t fixed_outlier_count = 0;
  /// int8_static: the magnitude that becomes code 127.
  float activation_range = 0.0F;
};

/// A row of the kernel table, as on the CPU: run() and lookup() return the identity that their own
/// code was compiled with.
struct LinearKernel {
  precision::KernelIdentity identity;
  precision::KernelIdentity lookup_identity;
  /// Pure function of shapes, types and the device's description: testable without a device.
  bool (*supports)(const LinearProblem& problem, const DeviceInfo& device, std::string* why);
  /// From host memory (the mapped file), through pinned staging, one tensor at a time.
  PackedWeight (*pack)(const precision::EncodedTensor& weight, Stream& stream);
  precision::KernelIdentity (*run)(LinearCall& call);
  /// Rows `ids` (device memory, ids.size() = y.rows) of the dequantized weight, rounded to y's
  /// type.
  precision::KernelIdentity (*lookup)(const PackedWeight& weight, const std::int32_t* ids,
                                      tensor::MatrixView y, Stream& stream);
};

/// All kernels, best first.
[[nodiscard]] std::span<const LinearKernel> linear_kernels();

/// Encodes a floating matrix that lies on the device as `encoding` there, with the codes and scales
/// that precision::info(encoding).encode gives, bit for bit, packed for `kernel`. False where the
/// encoding has no encoder on the device (the host encodes then). Throws numeric for NaN, infinity
/// or a value that does not fit.
[[nodiscard]] bool can_encode_on_device(precision::Encoding encoding, bool double_quant);
[[nodiscard]] PackedWeight encode_on_device(tensor::MatrixView weight, precision::Encoding encoding,
                                            bool double_quant, const LinearKernel& kernel,
                                            Stream& stream);

/// A matrix of a synthetic model, made on the device in bf16 with the bits of precision::generate()
/// and encoded there as above; what can_encode_on_device() says no to is an internal error.
[[nodiscard]] PackedWeight synthesize_on_device(const precision::SyntheticTensor& tensor,
                                                precision::Encoding encoding, bool double_quant,
                                                const LinearKernel& kernel, Stream& stream);

}  // namespace assay::kernels::cuda
