#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"
#include "ops/attention.h"
#include "ops/linear.h"
#include "ops/sampling.h"

namespace assay::models {

using TokenId = std::int32_t;

/// Loaded weights by role. `matrices` hold every layer of the plan; `vectors` hold norms ("<role>"
/// and
/// "<role>.bias") in f32, rounded to the activation type, as the references hold them.
struct Weights {
  std::map<std::string, ops::Linear> matrices;
  std::map<std::string, ops::Vector> vectors;
};

/// Elements of a row of keys or values in the KV type; bytes of both for a position of one block.
[[nodiscard]] std::int64_t kv_row_elements(const ModelConfig& config, tensor::DType type);
[[nodiscard]] std::int64_t kv_position_bytes(const ModelConfig& config, tensor::DType type);

/// Keys and values of up to `slots` sequences of up to `capacity` positions, in the KV type; those
/// of a block in the memory of the device that runs it.
class KvCache {
 public:
  /// `devices`: of every block; empty: all on the CPU.
  KvCache(const ModelConfig& config, tensor::DType type, int slots, std::int64_t capacity,
          std::span<const tensor::Device> devices = {});
  [[nodiscard]] std::int64_t length(int slot) const { return lengths_[slot]; }
  [[nodiscard]] std::int64_t capacity() const { return capacity_; }
  [[nodiscard]] int slots() const { return slots_; }
  /// Forgets positions from `length` on (a cached prefix is kept).
  void truncate(int slot, std::int64_t length);
  void advance(int slot, std::int64_t count) { lengths_[slot] += count; }
  /// [capacity, kv_row_elements()] of one block and slot.
  [[nodiscard]] tensor::MatrixView keys(std::int64_t block, int slot) const;
  [[nodiscard]] tensor::MatrixView values(std::int64_t block, int slot) const;
  /// All slots of one block.
  [[nodiscard]] ops::CacheView view(std::int64_t block) const;
  [[nodiscard]] std::int64_t bytes() const;
  /// Another number for every cache of the process.
  [[nodiscard]] std::uint64_t id() const { return id_; }

 private:
  std::vector<tensor::Matrix> blocks_;  ///< [slots, keys or values, capacity] rows each
  std::vector<std::int64_t> lengths_;
  std::int64_t capacity_ = 0;
  int slots_ = 0;
  std::uint64_t id_ = 0;
};

/// A ragged batch: the tokens of all sequences one after another, no padding anywhere. Decoder
/// sequences are appended to their cache slot; encoder sequences start at position 0.
struct Sequence {
  std::span<const TokenId> tokens;
  int slot = 0;
};
using Batch = std::span<const Sequence>;

/// What an encoder's step computes from the hidden states.
enum class EncoderOutput { hidden, classes, embedding, normalized_embedding };

/// The forward pass of every family. Not thread-safe; parallel inside.
///
/// Work on a CUDA device is queued; functions that return results for the host wait for it. Steps
/// that are repeated with equal shapes - a token for each sequence, or an encoder's batch - run as
/// CUDA graphs where the whole model is on one device: once as it is, then captured, then launched.
class Transformer {
 public:
  /// `activations` is the type of the residual stream and of every op's output; `blocks` the device
  /// of every block, empty: the CPU. Usage, bad_data (a token outside the vocabulary) and numeric
  /// errors of all functions name what is wrong.
  Transformer(ModelConfig config, Weights weights, tensor::DType activations,
              std::vector<tensor::Device> blocks, ops::Context& context);
  ~Transformer();
  Transformer(Transformer&&) noexcept;
  Transformer& operator=(Transformer&&) noexcept;

  /// Final hidden states of all tokens, [total tokens, hidden], after the last norm, on the last
  /// block's device. For decoders `cache` must have room (usage error with both numbers) and is
  /// advanced. The view is valid until the next call. An empty batch or sequence, and for learned
  /// positions one longer than the model's table, are usage errors. Numeric error with the layer's
  /// name if an activation is NaN or infinite.
  [[nodiscard]] tensor::MatrixView forward(Batch batch, KvCache* cache, ops::Context& context);

  /// f32 logits [rows, vocabulary] of the given rows of a forward() result, on the head's device;
  /// valid until the next call.
  [[nodiscard]] tensor::MatrixView logits(tensor::MatrixView hidden, const ops::Indices& rows,
                                          ops::Context& context);

  /// Decoder: appends every sequence to its slot; f32 logits [sequences, vocabulary] of the last
  /// token of each, where the head is. Valid until the next call.
  [[nodiscard]] tensor::MatrixView decode(Batch batch, KvCache& cache, ops::Context& context);
  /// After decode(): the likeliest token behind each sequence, the first of equals.
  [[nodiscard]] std::span<const TokenId> likeliest() const;
  /// As decode(), and a token drawn behind each sequence by its Draw: all that is read back from a
  /// device. Numeric error if the logits hold NaN or +infinity. Valid until the next call.
  [[nodiscard]] std::span<const TokenId> sample(Batch batch, KvCache& cache,
                                                std::span<const ops::Draw> draws,
                                                ops::Context& context);

  /// Encoder: hidden states [total tokens, hidden]; class logits [sequences, labels]; embeddings
  /// [sequences, hidden], the mean over tokens, then L2-normalized if asked. On the host, classes
  /// and embeddings in f32; valid until the next call.
  [[nodiscard]] tensor::MatrixView encode(Batch batch, EncoderOutput output, ops::Context& context);

  /// A view of any device on the host: itself, or a copy that is valid until the next call.
  [[nodiscard]] tensor::MatrixView on_host(tensor::MatrixView view, ops::Context& context);

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] Weights& weights();
  /// Whether repeated steps become graphs; they do unless told otherwise.
  void use_graphs(bool use);
  /// How many graphs are kept, and how often one was launched: for tests and reports.
  struct GraphCounts {
    int captured = 0;
    std::int64_t launches = 0;
  };
  [[nodiscard]] GraphCounts graphs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::models
