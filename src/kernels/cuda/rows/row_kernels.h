#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cpu/draw.h"
#include "kernels/cuda/compiled_paths.h"
#include "kernels/cuda/device_types.h"

namespace assay::kernels::cuda {

using cpu::Draw;

enum class RowFunction : std::uint8_t { gelu_erf, gelu_tanh, relu, silu, tanh };

/// DeviceSequence's layout, for device code.
struct SequenceData {
  std::int32_t query_begin;
  std::int32_t query_count;
  std::int32_t key_count;
  std::int32_t slot;
};

struct RopeArguments {
  DeviceMatrix x;
  const std::int32_t* positions;
  const float* frequencies;
  int count;
  std::int64_t head_dim;
  float magnitude;
};

struct CacheArguments {
  DeviceMatrix k;
  DeviceMatrix v;
  const SequenceData* sequences;
  const std::int32_t* row_sequence;
  void* keys;
  void* values;
  Element type;
  std::int64_t slot_stride;
  std::int64_t row_stride;
};

/// The launchers of row-wise kernels, as one path compiled them. Arguments are as in elementwise.h.
struct RowKernels {
  void (*rms_norm)(DeviceMatrix x, const float* weight, float eps, DeviceMatrix y, cudaStream_t);
  void (*layer_norm)(DeviceMatrix x, const float* weight, const float* bias, float eps,
                     DeviceMatrix y, cudaStream_t);
  void (*scale)(DeviceMatrix x, float factor, cudaStream_t);
  void (*soft_cap)(DeviceMatrix x, float cap, cudaStream_t);
  void (*add_in_place)(DeviceMatrix x, DeviceMatrix y, cudaStream_t);
  void (*apply)(RowFunction function, DeviceMatrix x, cudaStream_t);
  void (*gated_product)(RowFunction function, DeviceMatrix gate, DeviceMatrix up, cudaStream_t);
  void (*clamped_swiglu)(float alpha, float limit, DeviceMatrix gate, DeviceMatrix up,
                         cudaStream_t);
  void (*add_scaled_rows)(DeviceMatrix x, const std::int32_t* index, const float* factors,
                          DeviceMatrix sums, cudaStream_t);
  void (*convert)(DeviceMatrix x, DeviceMatrix y, cudaStream_t);
  void (*gather_rows)(DeviceMatrix x, const std::int32_t* index, DeviceMatrix y, cudaStream_t);
  void (*rope)(const RopeArguments&, cudaStream_t);
  void (*append_to_cache)(const CacheArguments&, cudaStream_t);
  void (*note_non_finite)(DeviceMatrix x, std::int32_t* flag, cudaStream_t);
  void (*row_statistics)(DeviceMatrix logits, std::int32_t* argmax, double* log_sum_exp,
                         cudaStream_t);
  void (*draw_tokens)(DeviceMatrix logits, const Draw* draws, std::int32_t* tokens, cudaStream_t);
  void (*gather_elements)(DeviceMatrix logits, const std::int32_t* rows,
                          const std::int32_t* columns, std::int64_t count, float* values,
                          cudaStream_t);
  void (*mean_rows)(DeviceMatrix x, const SequenceData* sequences, int count, bool normalize,
                    DeviceMatrix y, cudaStream_t);
};

#define ASSAY_CUDA_DECLARE(path)          \
  namespace path {                        \
  [[nodiscard]] RowKernels row_kernels(); \
  }
ASSAY_CUDA_EACH_PATH(ASSAY_CUDA_DECLARE)
#undef ASSAY_CUDA_DECLARE

}  // namespace assay::kernels::cuda
