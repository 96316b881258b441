#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/hash.h"
#include "base/progress.h"
#include "engine/planner.h"
#include "models/transformer.h"

namespace assay::engine {

using models::Sequence;
using models::TokenId;

struct LoadOptions {
  int threads = 0;  ///< 0: base::available_threads()
  /// CUDA: results do not depend on how many rows a call has, and are the same bits every time.
  bool deterministic = false;
  bool graphs = true;  ///< CUDA: repeated steps become graphs
  base::ProgressSink progress;
};

/// A token whose probability is asked for after the token in `row` of a batch, counted over all its
/// sequences.
struct WantedToken {
  std::int32_t row = 0;
  TokenId token = 0;
};
struct TokenScore {
  double log_probability = 0.0;  ///< natural logarithm of the softmax over the vocabulary
  bool greedy = false;           ///< no token is likelier (the first of equals)
};

/// A model loaded by a plan: each matrix is read from the mapping, decoded or quantized, packed for
/// its kernel, and dropped from the page cache's working set. Throws unsupported if the plan is not
/// supported, numeric naming the tensor for NaN, infinity or an fp16 overflow.
class Model {
 public:
  Model(std::shared_ptr<const ModelSource> source, precision::Plan plan,
        const LoadOptions& options);
  ~Model();

  [[nodiscard]] const ModelSource& source() const { return *source_; }
  [[nodiscard]] const models::ModelConfig& config() const { return source_->config(); }
  [[nodiscard]] const precision::Plan& plan() const { return plan_; }
  [[nodiscard]] precision::Ledger& ledger() { return ledger_; }
  [[nodiscard]] int threads() const;
  /// Bytes of weights in memory by encoding (tied weights once), vectors under "fp32".
  [[nodiscard]] Json weight_bytes() const;
  [[nodiscard]] std::int64_t total_weight_bytes() const;

  [[nodiscard]] models::KvCache make_cache(int slots, std::int64_t capacity) const;

  /// Decoder: appends every sequence to its slot; f32 logits [sequences, vocabulary] of the last
  /// token of each, on the host. Valid until the next call.
  [[nodiscard]] tensor::MatrixView decode(models::Batch batch, models::KvCache& cache);

  /// The same without bringing the logits to the host: what a step of generation costs.
  void step(models::Batch batch, models::KvCache& cache);
  /// A step, and the likeliest token behind each sequence, the first of equals: all that is read
  /// back from a device. Valid until the next call.
  [[nodiscard]] std::span<const TokenId> decode_greedy(models::Batch batch, models::KvCache& cache);

  /// A step, and a token drawn behind each sequence by its Draw, the same for the same logits on
  /// every device: all that is read back from one. Valid until the next call.
  [[nodiscard]] std::span<const TokenId> decode_sampled(models::Batch batch, models::KvCache& cache,
                                                        std::span<const ops::Draw> draws);

  /// Decoder: appends one sequence and calls `each(position, logits)` for every appended position
  /// in order (the first is the slot's length before the call), computing the head in chunks, so
  /// that memory stays bounded.
  void score(const Sequence& sequence, models::KvCache& cache,
             const std::function<void(std::int64_t, std::span<const float>)>& each);

  /// Decoder: appends every sequence to its slot and scores tokens that may follow. `wanted` is in
  /// order of its rows; a row may be wanted several times, and the head runs only for wanted rows.
  [[nodiscard]] std::vector<TokenScore> score_tokens(models::Batch batch, models::KvCache& cache,
                                                     std::span<const WantedToken> wanted);

  /// Makes the first `length` positions of slot `from` those of slot `to`, in place of what it had.
  void copy_prefix(models::KvCache& cache, int from, int to, std::int64_t length);

  /// Encoder: hidden states [total tokens, hidden]; class logits [sequences, labels]; embeddings
  /// [sequences, hidden]. On the host; valid until the next call.
  [[nodiscard]] tensor::MatrixView encode(models::Batch batch);
  [[nodiscard]] tensor::MatrixView classify(models::Batch batch);
  [[nodiscard]] tensor::MatrixView embed(models::Batch batch, bool normalize = true);

  /// From now on `observer` sees what enters every linear layer; an empty one ends that.
  void observe(ops::LinearObserver observer);
  /// CUDA: from now on as LoadOptions::deterministic, which scoring wants.
  void set_fixed_tiles(bool fixed);
  /// CUDA graphs that are kept, and launches of them.
  [[nodiscard]] models::Transformer::GraphCounts graphs() const;

  /// For the test that a kernel swapped under an unchanged plan is seen.
  [[nodiscard]] models::Weights& weights_for_test();

 private:
  struct State;
  std::shared_ptr<const ModelSource> source_;
  precision::Plan plan_;
  precision::Ledger ledger_;
  std::unique_ptr<State> state_;
};

struct SamplingOptions {
  float temperature = 0.0F;  ///< 0: greedy
  int top_k = 0;             ///< 0: all
  float top_p = 1.0F;
  std::uint64_t seed = 1;
  bool stop_at_eos = true;
};

/// Generates up to `max_tokens` after `prompt`; `on_token` may return false to stop. Returns the
/// new tokens; one at which it stopped (EOS) is left out. Checks interrupts between steps. Usage
/// errors: an empty prompt, more positions than the model has, options out of range.
std::vector<TokenId> generate(Model& model, std::span<const TokenId> prompt,
                              std::int64_t max_tokens, const SamplingOptions& options,
                              const std::function<bool(TokenId)>& on_token = {});

/// `count` sequences of `length` tokens: the BOS (or EOS) token and what the model continues it
/// with, sampled at temperature 1, batched, without stopping; the same seed gives the same tokens.
[[nodiscard]] std::vector<std::vector<TokenId>> sample_sequences(Model& model, int count,
                                                                 std::int64_t length,
                                                                 std::uint64_t seed);

}  // namespace assay::engine
