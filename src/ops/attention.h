#pragma once

#include <span>

#include "kernels/cuda/elementwise.h"
#include "ops/memory.h"

namespace assay::ops {

/// One sequence of a batch: which rows are its queries, how many positions it has with them, and
/// its slot in the cache. The same plain numbers on the host and on devices.
using SequenceRows = kernels::cuda::DeviceSequence;

/// The sequences of a batch, on the host and, for an op there, in the memory of a device.
struct Sequences {
  std::span<const SequenceRows> host;
  const SequenceRows* device = nullptr;
  const std::int32_t* row_sequence = nullptr;  ///< of the device: the sequence of every row
  /// Bounds of any sequence's queries and positions, now and in later launches of a graph.
  std::int32_t most_queries = 0;
  std::int32_t most_keys = 0;
};

/// Keys and values of one block in a cache, by slot and position.
using CacheView = kernels::cuda::CacheView;

/// Rows of k and v, one after another for the sequences, to the last positions of their slots;
/// rounded to the cache's type, which on the CPU may be int8 with an absmax for every head.
void append_to_cache(tensor::MatrixView k, tensor::MatrixView v, std::int64_t head_dim,
                     const Sequences& sequences, const CacheView& cache, Context& context);

struct AttentionCall {
  tensor::MatrixView q;    ///< [rows, heads * head_dim]
  tensor::MatrixView out;  ///< same shape
  /// Encoders: keys and values are rows as the queries are. Decoders: in the cache.
  tensor::MatrixView k;
  tensor::MatrixView v;
  const CacheView* cache = nullptr;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  float scale = 1.0F;
  float soft_cap = 0.0F;  ///< scores s become cap * tanh(s / cap); 0: they stay
  bool causal = false;
  /// Positions that a query sees to either side, its own included in both; 0: all.
  std::int64_t window = 0;
  /// For each head the score of a position without a value, which every query sees; empty: none.
  /// In the memory of q's device.
  std::span<const float> sinks;
  Sequences sequences;
};

/// Checks heads, shapes, rows and key counts (internal errors), then runs the kernel.
void attention(const AttentionCall& call, Context& context);

/// y[s] = mean of the rows of sequence s, summed in double and rounded once to y's type; divided by
/// its length if asked.
void mean_rows(tensor::MatrixView x, const Sequences& sequences, bool normalize,
               tensor::MatrixView y, Context& context);

}  // namespace assay::ops
