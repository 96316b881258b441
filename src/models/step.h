#pragma once

#include <vector>

#include "models/batch_tables.h"

namespace assay::models {

/// What a step computes from its batch.
enum class StepKind {
  tokens,  ///< decoders: logits behind every sequence, the likeliest token of each
  drawn,   ///< the same with a token drawn from each
  states,  ///< hidden states, where they are
  hidden,  ///< encoders: hidden states on the host
  classes,
  embedding,
  normalized_embedding
};

/// One step of a fixed shape, or the one that is run as it comes: the tables that it reads, its
/// result and what is read back; with a graph, also that and the launches that it holds.
struct Step {
  explicit Step(bool cuda) : tables(cuda) {}

  BatchTables tables;
  tensor::MatrixView result;     ///< where it was computed
  tensor::MatrixView read_back;  ///< encoders: on the host; decoders on a device: empty
  tensor::Buffer statistics;     ///< decoders on a device: log(sum(exp)) as f64, index as i32
  tensor::Buffer drawing;        ///< decoders on a device: an ops::Draw, then the token of each
  kernels::cuda::PinnedBuffer draws;  ///< what is copied to `drawing`
  kernels::cuda::PinnedBuffer host;

  std::vector<std::int64_t> key;
  kernels::cuda::Graph graph;
  std::vector<precision::Ledger::Call> calls;
  std::int64_t growths = 0;  ///< of the arenas when it was captured
};

}  // namespace assay::models
