#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda/compiled_paths.h"
#include "kernels/cuda/device_types.h"
#include "kernels/cuda/rows/row_kernels.h"

namespace assay::kernels::cuda {

/// AttentionCall for device code.
struct AttentionArguments {
  DeviceMatrix q;
  DeviceMatrix out;
  const void* keys;
  const void* values;
  Element kv;
  std::int64_t slot_stride;  ///< elements
  std::int64_t row_stride;
  bool cached;
  int heads;
  int kv_heads;
  int head_dim;
  float scale;
  float soft_cap;
  bool causal;
  std::int64_t window;
  const float* sinks;
  const SequenceData* sequences;
  int sequence_count;
  int most_queries;
  /// Keys of one part, a multiple of every tile; 0: all keys in one, and the result is written to
  /// `out`.
  int part_keys;
  int parts;
  /// With parts: for every (row of q, head, part) the largest score and the sum of numerators, then
  /// head_dim sums of numerators times values.
  float* partial;

  [[nodiscard]] int group() const { return heads / kv_heads; }
};

/// Rows of (query, head of a group) that a block takes: fewer rows mean less wasted work in decode
/// steps. The result of a row is the same.
enum class AttentionRows : std::uint8_t { few, many };

struct AttentionKernels {
  /// 16-bit q and cache of one type, head_dim a multiple of 8, all rows aligned to 16 bytes;
  /// head_dim <= 256.
  void (*tensor_cores)(const AttentionArguments&, AttentionRows, cudaStream_t);
  /// Any types; head_dim <= 256.
  void (*fma)(const AttentionArguments&, AttentionRows, cudaStream_t);
  /// Sums up what the parts have left and writes `out`.
  void (*combine)(const AttentionArguments&, cudaStream_t);
};

#define ASSAY_CUDA_DECLARE(path)                      \
  namespace path {                                    \
  [[nodiscard]] AttentionKernels attention_kernels(); \
  }
ASSAY_CUDA_EACH_PATH(ASSAY_CUDA_DECLARE)
#undef ASSAY_CUDA_DECLARE

}  // namespace assay::kernels::cuda
