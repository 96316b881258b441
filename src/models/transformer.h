#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"
#include "ops/linear.h"

namespace assay::models {

using TokenId = std::int32_t;

/// Loaded weights by role. `matrices` hold every layer of the plan; `vectors` hold norms ("<role>"
/// and
/// "<role>.bias") in f32, rounded to the activation type, as the references hold them.
struct Weights {
  std::map<std::string, ops::Linear> matrices;
  std::map<std::string, std::vector<float>> vectors;
};

/// Keys and values of up to `slots` sequences of up to `capacity` positions, in the KV type.
class KvCache {
 public:
  KvCache(const ModelConfig& config, tensor::DType type, int slots, std::int64_t capacity);
  [[nodiscard]] std::int64_t length(int slot) const { return lengths_[slot]; }
  [[nodiscard]] std::int64_t capacity() const { return capacity_; }
  [[nodiscard]] int slots() const { return slots_; }
  /// Forgets positions from `length` on (a cached prefix is kept).
  void truncate(int slot, std::int64_t length);
  void advance(int slot, std::int64_t count) { lengths_[slot] += count; }
  /// [capacity, kv_heads * head_dim] of one block and slot.
  [[nodiscard]] tensor::MatrixView keys(std::int64_t block, int slot) const;
  [[nodiscard]] tensor::MatrixView values(std::int64_t block, int slot) const;
  [[nodiscard]] std::int64_t bytes() const { return static_cast<std::int64_t>(storage_.bytes()); }

 private:
  tensor::Matrix storage_;
  std::vector<std::int64_t> lengths_;
  std::int64_t capacity_ = 0;
  int slots_ = 0;
};

/// A ragged batch: the tokens of all sequences one after another, no padding anywhere. Decoder
/// sequences are appended to their cache slot; encoder sequences start at position 0.
struct Sequence {
  std::span<const TokenId> tokens;
  int slot = 0;
};
using Batch = std::span<const Sequence>;

/// The forward pass of every family. Not thread-safe; parallel inside.
class Transformer {
 public:
  /// `activations` is the type of the residual stream and of every op's output.
  Transformer(ModelConfig config, Weights weights, tensor::DType activations);
  ~Transformer();
  Transformer(Transformer&&) noexcept;
  Transformer& operator=(Transformer&&) noexcept;

  /// Final hidden states of all tokens, [total tokens, hidden], after the last norm. For decoders
  /// `cache` must have room (usage error with both numbers) and is advanced. The view is valid
  /// until the next call. An empty batch or sequence, and for learned positions one longer than the
  /// model's table, are usage errors. Numeric error with the layer's name if an activation is NaN
  /// or infinite.
  [[nodiscard]] tensor::MatrixView forward(Batch batch, KvCache* cache, ops::Context& context);

  /// f32 logits [rows, vocabulary] of the given rows of a forward() result; valid until the next
  /// call.
  [[nodiscard]] tensor::MatrixView logits(tensor::MatrixView hidden,
                                          std::span<const std::int32_t> rows,
                                          ops::Context& context);
  /// Classifier: f32 [sequences, labels] from the first token of each.
  [[nodiscard]] tensor::MatrixView classify(tensor::MatrixView hidden, Batch batch,
                                            ops::Context& context);
  /// f32 [sequences, hidden]: mean over tokens, then L2-normalized if asked.
  [[nodiscard]] tensor::MatrixView embed(tensor::MatrixView hidden, Batch batch, bool normalize);

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] Weights& weights();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::models
