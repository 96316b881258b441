#pragma once

#include <math_constants.h>

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/values.cuh"

// What a block of attention works on: rows, which are (query, head of a group) pairs of one
// sequence and one key-value head, ordered by query, and the key positions that they see. All heads
// of a group read the same keys, so that a tile of keys is read once for all of them.

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

/// Key positions [first, end) of a row.
struct Seen {
  int first;
  int end;
};

class BlockRows {
 public:
  __device__ BlockRows(const AttentionArguments& a, int rows_per_block)
      : a_(a), sequence_(a.sequences[blockIdx.z]) {
    const int group = a.heads / a.kv_heads;
    const int count = sequence_.query_count * group;
    const int blocks = (count + rows_per_block - 1) / rows_per_block;
    const int parts = a.part_keys > 0 ? a.parts : 1;
    const int block = static_cast<int>(blockIdx.x) / parts;
    part_ = static_cast<int>(blockIdx.x) % parts;
    idle_ = block >= blocks;
    // The last rows of a causal prompt see the most keys: they begin first.
    begin_ = (blocks - 1 - block) * rows_per_block;
    count_ = count;
  }

  /// No work for this block.
  [[nodiscard]] __device__ bool idle() const { return idle_; }
  [[nodiscard]] __device__ bool exists(int row) const { return begin_ + row < count_; }

  /// Row of q and of out.
  [[nodiscard]] __device__ std::int64_t matrix_row(int row) const {
    return sequence_.query_begin + query(row);
  }
  [[nodiscard]] __device__ int head(int row) const {
    const int group = a_.heads / a_.kv_heads;
    return static_cast<int>(blockIdx.y) * group + (begin_ + row) % group;
  }

  /// Keys that a row sees, within this block's part.
  [[nodiscard]] __device__ Seen seen(int row) const {
    if (!exists(row)) return {0, 0};
    const int position = sequence_.key_count - sequence_.query_count + query(row);
    const auto window = static_cast<int>(a_.window);
    Seen s{0, sequence_.key_count};
    if (window > 0) {
      s.first = max(0, position + 1 - window);
      if (!a_.causal) s.end = min(s.end, position + window);
    }
    if (a_.causal) s.end = position + 1;
    if (a_.part_keys > 0) {
      s.first = max(s.first, part_ * a_.part_keys);
      s.end = min(s.end, (part_ + 1) * a_.part_keys);
    }
    return s;
  }
  /// Of all rows [0, rows): both ends grow with the query.
  [[nodiscard]] __device__ Seen seen_by_any(int rows) const {
    const int last = min(rows, count_ - begin_) - 1;
    return {seen(0).first, seen(last).end};
  }

  /// Position 0 of the keys or values of this block's sequence and head.
  template <typename T>
  [[nodiscard]] __device__ const T* positions(const void* base) const {
    const std::int64_t first =
        a_.cached ? sequence_.slot * a_.slot_stride : sequence_.query_begin * a_.row_stride;
    return static_cast<const T*>(base) + first +
           static_cast<std::int64_t>(blockIdx.y) * a_.head_dim;
  }

  /// Where this part's results of a row go.
  [[nodiscard]] __device__ float* partial(int row) const {
    const std::int64_t at = (matrix_row(row) * a_.heads + head(row)) * a_.parts + part_;
    return a_.partial + at * (a_.head_dim + 2);
  }

  /// Where a row's softmax begins: a sink is a position of weight 1 and value 0, seen before all
  /// others (of the first part, where there are parts: combine() adds it).
  [[nodiscard]] __device__ bool begins_with_sink() const {
    return a_.sinks != nullptr && a_.part_keys == 0;
  }

 private:
  [[nodiscard]] __device__ int query(int row) const {
    return (begin_ + row) / (a_.heads / a_.kv_heads);
  }

  const AttentionArguments& a_;
  SequenceData sequence_;
  int begin_;
  int count_;
  int part_;
  bool idle_;
};

/// Blocks of a launch.
inline dim3 attention_grid(const AttentionArguments& a, int rows_per_block) {
  const std::int64_t rows = static_cast<std::int64_t>(a.most_queries) * (a.heads / a.kv_heads);
  const std::int64_t blocks = (rows + rows_per_block - 1) / rows_per_block;
  return dim3(static_cast<unsigned>(blocks * (a.part_keys > 0 ? a.parts : 1)),
              static_cast<unsigned>(a.kv_heads), static_cast<unsigned>(a.sequence_count));
}

/// cap * tanh(s / cap), or s without a cap.
__device__ inline float capped(float score, float cap) {
  return cap > 0.0F ? tanhf(score / cap) * cap : score;
}

/// Shared memory above 48 KiB has to be asked for, once for a kernel and a device: it is done at
/// every launch, which costs nothing next to it.
template <typename K>
void allow_shared(K kernel, std::size_t bytes) {
  if (bytes > 48 * 1024) {
    (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(bytes));
  }
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
