#pragma once

#include <span>

#include "base/thread_pool.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/workspace.h"
#include "tensor/tensor.h"

namespace assay::kernels::cpu {

// Row-wise operations. Every one computes in f32 and rounds once to the type of its output; rows
// are split over the pool; a row's result does not depend on the other rows or on the thread count.

/// y = x / sqrt(mean(x^2) + eps) * weight.
void rms_norm(tensor::MatrixView x, std::span<const float> weight, float eps, tensor::MatrixView y,
              base::ThreadPool& pool);
/// y = (x - mean) / sqrt(var + eps) * weight + bias, biased variance.
void layer_norm(tensor::MatrixView x, std::span<const float> weight, std::span<const float> bias,
                float eps, tensor::MatrixView y, base::ThreadPool& pool);
/// x *= factor.
void scale(tensor::MatrixView x, float factor, base::ThreadPool& pool);
/// x = cap * tanh(x / cap).
void soft_cap(tensor::MatrixView x, float cap, base::ThreadPool& pool);
/// x += y, rounded to x's type.
void add_in_place(tensor::MatrixView x, tensor::MatrixView y, base::ThreadPool& pool);

enum class UnaryFunction { gelu_erf, gelu_tanh, relu, silu, tanh };
inline constexpr std::size_t kUnaryFunctions = 5;
/// x = f(x).
void apply(UnaryFunction function, tensor::MatrixView x, base::ThreadPool& pool);
/// gate = f(gate) * up; f(gate) is rounded to the type first, as the references do.
void gated_product(UnaryFunction function, tensor::MatrixView gate, tensor::MatrixView up,
                   base::ThreadPool& pool);
/// gate = g sigmoid(alpha g) * (u + 1), with g = min(gate, limit) and u = up within +-limit: what
/// the experts of gpt-oss compute.
void clamped_swiglu(float alpha, float limit, tensor::MatrixView gate, tensor::MatrixView up,
                    base::ThreadPool& pool);
/// sums[index[r]] += factors[r] * x[r], in f32; an index stands once.
void add_scaled_rows(tensor::MatrixView x, std::span<const std::int32_t> index,
                     std::span<const float> factors, tensor::MatrixView sums,
                     base::ThreadPool& pool);

/// Rotates the first 2n columns of each head of x[rows, heads * head_dim] in place, n being the
/// number of frequencies: pairs (i, i + n), angle position * inverse_frequency[i] in f32, sine and
/// cosine times `magnitude`; `positions` has one entry per row.
void rope(tensor::MatrixView x, std::span<const std::int32_t> positions,
          std::span<const float> inverse_frequencies, std::int64_t head_dim, base::ThreadPool& pool,
          float magnitude = 1.0F);

/// Elements of one head in a row of keys or values. An int8 head is head_dim codes and, behind
/// them, the bytes of its f32 absmax: a value is code * absmax / 127.
[[nodiscard]] inline std::int64_t kv_head_elements(tensor::DType kv, std::int64_t head_dim) {
  return kv == tensor::DType::i8 ? head_dim + std::int64_t{sizeof(float)} : head_dim;
}

/// The heads of x[rows, heads * head_dim] into int8 heads, codes rounded to nearest even of
/// x * (127 / absmax). A head with NaN or infinity keeps that as its absmax, so that it stays
/// visible.
void quantize_heads(tensor::MatrixView x, std::int64_t head_dim, tensor::MatrixView codes,
                    base::ThreadPool& pool);

/// Keys and values of one sequence: row j is position j; rows of kv_heads * kv_head_elements().
struct AttentionSequence {
  std::int64_t query_begin = 0;  ///< first row in q and out
  std::int64_t query_count = 0;
  const void* keys = nullptr;
  const void* values = nullptr;
  std::int64_t stride = 0;     ///< elements between positions
  std::int64_t key_count = 0;  ///< positions present; query i is at key_count - query_count + i
};

struct AttentionCall {
  tensor::MatrixView q;    ///< [rows, heads * head_dim]
  tensor::MatrixView out;  ///< same shape
  tensor::DType kv = tensor::DType::f32;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  float scale = 1.0F;
  float soft_cap = 0.0F;  ///< scores s become cap * tanh(s / cap); 0: they stay
  bool causal = false;
  /// Positions that a query sees to either side, its own included in both; 0: all.
  std::int64_t window = 0;
  /// For each head the score of a position without a value, which every query sees; empty: none.
  std::span<const float> sinks;
  std::span<const AttentionSequence> sequences;
};

/// softmax(q k^T * scale) v in f32, over key positions in fixed tiles counted from 0: a query's
/// result is the same bits in a prompt, in a decode step and in any batch.
void attention(const AttentionCall& call, base::ThreadPool& pool, Workspace& workspace);

/// y[r] = x[index[r]].
void gather_rows(tensor::MatrixView x, std::span<const std::int32_t> index, tensor::MatrixView y);

/// log(sum(exp(x))) in double.
[[nodiscard]] double log_sum_exp(std::span<const float> x);
/// Index of the largest; the first of equals.
[[nodiscard]] std::int64_t argmax(std::span<const float> x);
/// Token drawn from softmax(logits / temperature): of the top_k largest (of equals the first), then
/// of the fewest likeliest whose weights reach top_p of the sum. -1 if the logits, of which there
/// may be kMostWeights, hold NaN or +infinity, or nothing finite.
[[nodiscard]] std::int32_t draw_token(std::span<const float> logits, const Draw& draw);
/// True when every element of a floating matrix is finite.
[[nodiscard]] bool all_finite(tensor::MatrixView x);

}  // namespace assay::kernels::cpu
