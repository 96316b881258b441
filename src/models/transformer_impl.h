#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "models/transformer.h"

namespace assay::models {

/// A norm's vectors; bias is empty for RMS norms, both where the model has no such norm.
struct Norm {
  std::span<const float> weight;
  std::span<const float> bias;
};

/// One of the MLPs among which a router chooses.
struct Expert {
  const ops::Linear* gate = nullptr;
  const ops::Linear* up = nullptr;
  const ops::Linear* down = nullptr;
};

/// The parts of one block, found once by their roles.
struct Block {
  const ops::Linear* query = nullptr;
  const ops::Linear* key = nullptr;
  const ops::Linear* value = nullptr;
  const ops::Linear* attention_output = nullptr;
  const ops::Linear* gate = nullptr;  ///< nullptr where the MLP is not gated
  const ops::Linear* up = nullptr;
  const ops::Linear* down = nullptr;
  const ops::Linear* router = nullptr;  ///< nullptr where there are no experts
  std::vector<Expert> experts;
  std::span<const float> sinks;  ///< of heads; empty where the model has none
  Norm query_norm;               ///< of single heads
  Norm key_norm;
  Norm attention_norm;
  Norm attention_post_norm;  ///< of what attention adds to the stream
  Norm mlp_norm;
  Norm mlp_post_norm;
};

/// A matrix that is made larger when more rows are asked for and otherwise kept.
class Scratch {
 public:
  [[nodiscard]] tensor::MatrixView get(tensor::DType type, std::int64_t rows, std::int64_t cols) {
    if (matrix_.rows() < rows || matrix_.cols() != cols || matrix_.type() != type) {
      matrix_ = tensor::Matrix(type, rows, cols);
    }
    return matrix_.view(rows);
  }

 private:
  tensor::Matrix matrix_;
};

/// The rows that go to one expert, and what its results count.
struct Share {
  std::vector<std::int32_t> rows;
  std::vector<float> weights;
};

struct Transformer::Impl {
  Impl(ModelConfig config, Weights weights, tensor::DType activations);

  ModelConfig config;
  Weights weights;
  tensor::DType activations;

  const ops::Linear* token_table = nullptr;
  const ops::Linear* type_table = nullptr;
  const ops::Linear* position_table = nullptr;
  const ops::Linear* head_dense = nullptr;
  const ops::Linear* head_output = nullptr;
  Norm embedding_norm;
  Norm final_norm;
  Norm head_norm;
  std::vector<Block> blocks;
  std::vector<float> inverse_frequencies, local_frequencies;

  Scratch stream, other, query, key, value, attended, gate, up, projected;
  Scratch routed, chosen, expert_result, mixed;
  Scratch gathered, head_hidden, head_result, pooled;
  std::vector<std::int32_t> ids, positions, zeros, first_rows;
  std::vector<kernels::cpu::AttentionSequence> sequences;
  std::vector<Share> shares;  ///< by expert
  std::vector<float> row;
  std::vector<double> sums;
  bool overflowed = false;  ///< infinity where a later op may hide it
  bool locating = false;    ///< every op's output is checked, to name the layer of a NaN

  void resolve();
  [[nodiscard]] const ops::Linear* find(const std::string& role) const;
  [[nodiscard]] const ops::Linear& matrix(const std::string& role) const;
  [[nodiscard]] Norm norm(const std::string& role) const;
  [[nodiscard]] Norm norm_if_any(const std::string& role) const;

  void check(Batch batch, const KvCache* cache) const;
  void check_positions(std::int64_t count) const;
  void prepare(Batch batch, const KvCache* cache);
  [[nodiscard]] tensor::MatrixView pass(Batch batch, KvCache* cache, ops::Context& context);
  [[nodiscard]] tensor::MatrixView embed_tokens(ops::Context& context);
  [[nodiscard]] tensor::MatrixView attend(std::int64_t index, tensor::MatrixView x, Batch batch,
                                          KvCache* cache, ops::Context& context);
  void append(std::int64_t block, tensor::MatrixView k, tensor::MatrixView v, Batch batch,
              KvCache& cache);
  [[nodiscard]] tensor::MatrixView mlp(const Block& block, tensor::MatrixView x,
                                       ops::Context& context);
  [[nodiscard]] Block block_of(std::int64_t index) const;
  [[nodiscard]] std::span<const float> vector_if_any(const std::string& role) const;
  /// Chooses the experts of every row of x into `shares`.
  void route(const Block& block, tensor::MatrixView x, ops::Context& context);
  [[nodiscard]] tensor::MatrixView mixture(const Block& block, tensor::MatrixView x,
                                           ops::Context& context);
  /// Clamps, soft caps and softmax hide an infinity, so it is looked for before them.
  void note_overflow(tensor::MatrixView y);
  /// Norm of every head, then RoPE; what the model has of the two.
  void position_heads(std::int64_t block, const Norm& norm, tensor::MatrixView x,
                      ops::Context& context) const;
  void normalize(const Norm& norm, tensor::MatrixView x, tensor::MatrixView y,
                 ops::Context& context) const;
  void linear(const ops::Linear& layer, tensor::MatrixView x, tensor::MatrixView y,
              ops::Context& context) const;
  /// Layers that read the same x, each into its y.
  void linear_all(std::initializer_list<const ops::Linear*> layers, tensor::MatrixView x,
                  std::initializer_list<tensor::MatrixView> y, ops::Context& context) const;
  void lookup(const ops::Linear& table, std::span<const std::int32_t> rows, tensor::MatrixView y,
              ops::Context& context) const;
  /// Numeric error that names the layer unless y is finite; located() asks only while locating.
  void demand_finite(tensor::MatrixView y, std::string_view layer) const;
  void located(tensor::MatrixView y, std::string_view layer) const;
};

}  // namespace assay::models
