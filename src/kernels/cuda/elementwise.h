#pragma once

#include <cstdint>
#include <string>

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/workspace.h"

namespace assay::kernels::cuda {

using kernels::cpu::Draw;
using kernels::cpu::UnaryFunction;

// Row-wise operations on device memory, queued on a stream. As on the CPU every one computes in f32
// and rounds once to the type of its output, and a row's result does not depend on other rows.
// Pointers are the device's unless a comment says host.

void rms_norm(tensor::MatrixView x, const float* weight, float eps, tensor::MatrixView y,
              Stream& stream);
void layer_norm(tensor::MatrixView x, const float* weight, const float* bias, float eps,
                tensor::MatrixView y, Stream& stream);  ///< bias may be nullptr
void scale(tensor::MatrixView x, float factor, Stream& stream);
void soft_cap(tensor::MatrixView x, float cap, Stream& stream);
void add_in_place(tensor::MatrixView x, tensor::MatrixView y, Stream& stream);
void apply(UnaryFunction function, tensor::MatrixView x, Stream& stream);
void gated_product(UnaryFunction function, tensor::MatrixView gate, tensor::MatrixView up,
                   Stream& stream);
void clamped_swiglu(float alpha, float limit, tensor::MatrixView gate, tensor::MatrixView up,
                    Stream& stream);
/// sums[index[r]] += factors[r] * x[r] for `x.rows` rows; an index stands once.
void add_scaled_rows(tensor::MatrixView x, const std::int32_t* index, const float* factors,
                     tensor::MatrixView sums, Stream& stream);
/// y = x, rounded to y's type (a copy where the types are equal).
void convert(tensor::MatrixView x, tensor::MatrixView y, Stream& stream);
/// y[r] = x[index[r]].
void gather_rows(tensor::MatrixView x, const std::int32_t* index, tensor::MatrixView y,
                 Stream& stream);
/// As kernels::cpu::rope; positions[x.rows] and frequencies are device memory.
void rope(tensor::MatrixView x, const std::int32_t* positions, const float* inverse_frequencies,
          int frequency_count, std::int64_t head_dim, float magnitude, Stream& stream);

/// One sequence of a batch, in device memory (a decode step in a graph reads it anew every time).
struct DeviceSequence {
  std::int32_t query_begin = 0;  ///< first row in q and out
  std::int32_t query_count = 0;
  std::int32_t key_count = 0;  ///< positions present, the new ones included
  std::int32_t slot = 0;       ///< of the cache; encoders: unused
};

/// Rows of k and v [rows, kv_heads * head_dim] into the cache at the positions that the sequences
/// say: row query_begin + i goes to position key_count - query_count + i of its slot. `keys` and
/// `values` point to slot 0 of one block; slots are `slot_stride` elements apart. `rows` of the
/// batch: row_sequence[r] is the sequence of row r; a row of sequence -1 is skipped.
struct CacheView {
  void* keys = nullptr;
  void* values = nullptr;
  tensor::DType type = tensor::DType::f32;
  std::int64_t slot_stride = 0;  ///< elements
  std::int64_t row_stride = 0;   ///< elements between positions
};
void append_to_cache(tensor::MatrixView k, tensor::MatrixView v, const DeviceSequence* sequences,
                     const std::int32_t* row_sequence, const CacheView& cache, Stream& stream);

struct AttentionCall {
  tensor::MatrixView q;    ///< [rows, heads * head_dim]
  tensor::MatrixView out;  ///< same shape
  CacheView cache;      ///< decoders; for encoders keys and values are rows of k and v themselves
  bool cached = false;  ///< false: key position j of a sequence is row query_begin + j
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  float scale = 1.0F;
  float soft_cap = 0.0F;
  bool causal = false;
  std::int64_t window = 0;       ///< as on the CPU; 0: all
  const float* sinks = nullptr;  ///< heads values or nullptr
  const DeviceSequence* sequences = nullptr;
  const std::int32_t* row_sequence = nullptr;  ///< [q.rows]
  int sequence_count = 0;
  /// A query's result does not depend on batch, prompt or decode: no split of the keys. What
  /// scoring uses; decode steps of long sequences are slower with it.
  bool fixed_tiles = false;
  /// Host-side bounds that size the grid: of any sequence's query_count and key_count, now and in
  /// every later launch of a graph that holds this call.
  std::int32_t most_queries = 0;
  std::int32_t most_keys = 0;
};
/// Pure: the shapes and types that attention() takes on a device; on false `why` (if not null) says
/// what is missing. Looks at types, heads, head_dim and window alone.
[[nodiscard]] bool attention_supports(const AttentionCall& call, const DeviceInfo& device,
                                      std::string* why);
/// softmax(q k^T scale) v over key tiles counted from position 0, in ascending order, sums in f32.
/// 16-bit types use tensor cores, for which the softmax numerators are rounded to the type, as the
/// usual libraries do; f32, and a cache of another type than q, use FMA. Without fixed_tiles the
/// few queries of decode steps split their keys over blocks of threads, whose parts are combined in
/// ascending order.
void attention(const AttentionCall& call, Stream& stream, Workspace& workspace);

/// Adds 1 or more to *flag if any element is NaN or infinite, else nothing.
void note_non_finite(tensor::MatrixView x, std::int32_t* flag, Stream& stream);

/// For every row: index of the largest (the first of equals) and log(sum(exp)) accumulated in
/// double. Either may be nullptr.
void row_statistics(tensor::MatrixView logits, std::int32_t* argmax, double* log_sum_exp,
                    Stream& stream);
/// tokens[r] = draw_token(logits[r], draws[r]) of the CPU, of at most cpu::kMostWeights columns.
void draw_tokens(tensor::MatrixView logits, const Draw* draws, std::int32_t* tokens,
                 Stream& stream);
/// values[i] = logits[rows[i], columns[i]].
void gather_elements(tensor::MatrixView logits, const std::int32_t* rows,
                     const std::int32_t* columns, std::int64_t count, float* values,
                     Stream& stream);
/// y[s] = mean of the rows of sequence s, sums in double; L2-normalized if asked.
void mean_rows(tensor::MatrixView x, const DeviceSequence* sequences, int count, bool normalize,
               tensor::MatrixView y, Stream& stream);

}  // namespace assay::kernels::cuda
