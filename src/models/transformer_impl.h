#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "models/arena.h"
#include "models/step.h"
#include "models/transformer.h"
#include "ops/sampling.h"

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

/// The rows that go to one expert, and what its results count.
struct Share {
  std::vector<std::int32_t> rows;
  std::vector<float> weights;
};

struct Transformer::Impl {
  Impl(ModelConfig config, Weights weights, tensor::DType activations,
       std::vector<tensor::Device> devices, ops::Context& context);

  ModelConfig config;
  Weights weights;
  tensor::DType activations;
  std::vector<tensor::Device> devices;  ///< of every block

  const ops::Linear* token_table = nullptr;
  const ops::Linear* type_table = nullptr;
  const ops::Linear* position_table = nullptr;
  const ops::Linear* head_dense = nullptr;
  const ops::Linear* head_output = nullptr;
  Norm embedding_norm;
  Norm final_norm;
  Norm head_norm;
  std::vector<Block> blocks;

  std::vector<std::unique_ptr<Arena>> arenas;  ///< one for each device
  bool on_one_device = false;                  ///< a CUDA device that holds the whole model
  std::unique_ptr<Step> eager;
  Step* current = nullptr;  ///< whose tables the pass reads
  std::vector<std::unique_ptr<Step>> captured;
  std::map<std::vector<std::int64_t>, int> seen;  ///< shapes of steps, how often
  std::int64_t launches = 0;
  tensor::Buffer chosen_rows;  ///< of logits() on a device
  kernels::cuda::PinnedBuffer host_copy;
  bool use_graphs = true;
  mutable std::vector<TokenId> chosen;  ///< by the last step, one behind each sequence
  std::span<const ops::Draw> draws;     ///< of the step that runs
  std::vector<Share> shares;            ///< by expert
  bool overflowed = false;              ///< infinity where a later op may hide it
  bool locating = false;  ///< every op's output is checked, to name the layer of a NaN

  void resolve();
  void make_arenas(ops::Context& context);
  [[nodiscard]] const ops::Linear* find(const std::string& role) const;
  [[nodiscard]] const ops::Linear& matrix(const std::string& role) const;
  [[nodiscard]] Norm norm(const std::string& role) const;
  [[nodiscard]] Norm norm_if_any(const std::string& role) const;
  [[nodiscard]] Block block_of(std::int64_t index) const;
  [[nodiscard]] std::span<const float> vector_if_any(const std::string& role) const;
  [[nodiscard]] Arena& arena(tensor::Device device) const;
  [[nodiscard]] std::int64_t growths() const;
  [[nodiscard]] bool on_cpu() const {
    return arenas.size() == 1 && arenas.front()->device.kind == tensor::DeviceKind::cpu;
  }

  void check(Batch batch, const KvCache* cache) const;
  void check_positions(std::int64_t count) const;
  void check_tokens(std::span<const TokenId> tokens) const;

  // The pass, over the tables of `current`.
  [[nodiscard]] tensor::MatrixView pass(KvCache* cache, ops::Context& context);
  [[nodiscard]] tensor::MatrixView block_pass(std::int64_t index, tensor::MatrixView x,
                                              KvCache* cache, ops::Context& context);
  [[nodiscard]] tensor::MatrixView embed_tokens(ops::Context& context);
  [[nodiscard]] tensor::MatrixView attend(std::int64_t index, tensor::MatrixView x, KvCache* cache,
                                          ops::Context& context);
  [[nodiscard]] tensor::MatrixView mlp(const Block& block, tensor::MatrixView x,
                                       ops::Context& context);
  /// Chooses the experts of every row of x into `shares`.
  void route(const Block& block, tensor::MatrixView x, ops::Context& context);
  [[nodiscard]] tensor::MatrixView mixture(const Block& block, tensor::MatrixView x,
                                           ops::Context& context);
  /// Norm of every head, then RoPE; what the model has of the two.
  void position_heads(std::int64_t block, const Norm& norm, tensor::MatrixView x,
                      ops::Context& context);
  void normalize(const Norm& norm, tensor::MatrixView x, tensor::MatrixView y,
                 ops::Context& context) const;
  /// On the layer's device, wherever x and y are.
  void linear(const ops::Linear& layer, tensor::MatrixView x, tensor::MatrixView y,
              ops::Context& context);
  /// Layers that read the same x, each into its y.
  void linear_all(std::initializer_list<const ops::Linear*> layers, tensor::MatrixView x,
                  std::initializer_list<tensor::MatrixView> y, ops::Context& context);
  /// `rows`: of the tables, on the table's device.
  void lookup(const ops::Linear& table, const ops::Indices& rows, tensor::MatrixView y,
              ops::Context& context);

  // Heads, over a result of pass().
  [[nodiscard]] tensor::MatrixView logits(tensor::MatrixView hidden, const ops::Indices& rows,
                                          ops::Context& context);
  [[nodiscard]] tensor::MatrixView classify(tensor::MatrixView hidden, ops::Context& context);
  [[nodiscard]] tensor::MatrixView embed(tensor::MatrixView hidden, bool normalize,
                                         ops::Context& context);

  // Steps: tables, pass, head and what is read back.
  void fill(Step& step, StepKind kind, Batch batch, const KvCache* cache, bool repeats) const;
  [[nodiscard]] bool may_repeat(StepKind kind, Batch batch) const;
  /// Runs the step, as a graph if it may and its shape was there before; its results are then in
  /// `current`.
  void run(StepKind kind, Batch batch, KvCache* cache, ops::Context& context);
  [[nodiscard]] Step* graph_for(StepKind kind, Batch batch, KvCache* cache, ops::Context& context);
  void capture(StepKind kind, Step& step, Batch batch, KvCache* cache, ops::Context& context);
  void queue(StepKind kind, Step& step, KvCache* cache, ops::Context& context);
  void read_back(StepKind kind, Step& step, ops::Context& context);
  /// Queues the draws' way to the device, the drawing and the tokens' way back.
  void draw(Step& step, ops::Context& context);
  /// Makes the memory that read_back() uses for `rows` rows on a device.
  void reserve_read_back(StepKind kind, Step& step, std::int64_t rows, tensor::Device device) const;
  [[nodiscard]] std::size_t result_bytes(StepKind kind, const Step& step) const;
  void compute(StepKind kind, Step& step, KvCache* cache, ops::Context& context);
  void begin_notes(ops::Context& context);
  /// Waits for all devices; true if nothing was noted that is not finite.
  [[nodiscard]] bool end_notes(ops::Context& context);
  /// Runs what gave a NaN or infinity again, looking at every output. Throws.
  [[noreturn]] void locate(StepKind kind, KvCache* cache, ops::Context& context);

  /// Clamps, soft caps and softmax hide an infinity, so it is looked for before them.
  void note_overflow(tensor::MatrixView y, ops::Context& context);
  /// While locating: numeric error that names the layer unless y is finite.
  void located(tensor::MatrixView y, std::string_view layer, ops::Context& context) const;
};

}  // namespace assay::models
