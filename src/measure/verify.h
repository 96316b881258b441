#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/model.h"
#include "kernels/cuda/instructions.h"
#include "kernels/cuda/witness.h"

namespace assay::measure {

// The second witness. The ledger is written by our own launchers; CUPTI saw the kernels that ran,
// and the disassembly says what they are made of. Here the three are held against each other.

/// What one kind of work was, by the ledger and by the witness.
struct WitnessLine {
  std::string work;                  ///< "linear_nf4_bf16_sm90", or what it is that nobody claims
  std::int64_t claimed = 0;          ///< launches by the ledger
  std::int64_t seen = 0;             ///< launches by the witness
  std::vector<std::string> kernels;  ///< names that were seen
  std::string instructions;          ///< of tensor cores, in those kernels; empty: none
  std::string problem;               ///< empty where all agree
  bool recorded = true;              ///< false: the build knows no instructions of a kernel
};

struct Verification {
  std::vector<WitnessLine> lines;
  std::int64_t other_launches = 0;  ///< of kernels of ours that are no linear layer's
  std::int64_t on_cpu = 0;          ///< calls in the ledger that no CUPTI can see

  [[nodiscard]] bool contradicted() const;  ///< some line has a problem
  [[nodiscard]] bool recorded() const;      ///< the instructions of all lines are known
  [[nodiscard]] Json to_json() const;
};

/// Launches of every kind of work, and whether the kernels that ran hold the tensor-core
/// instruction of what the ledger says they multiply. `architecture`: 90, of the device.
[[nodiscard]] Verification compare_with_witness(
    const precision::Ledger& ledger, std::span<const kernels::cuda::WitnessedKernel> witnessed,
    std::span<const kernels::cuda::TensorCoreUse> uses, int architecture);

struct VerifyWorkload {
  int batch = 1;
  int prompt = 64;     ///< decoders
  int generate = 16;   ///< decoders: steps, of which most are launches of a graph
  int sequence = 64;   ///< encoders
  int iterations = 4;  ///< encoders
};
/// Runs the model on random tokens, so that its ledger and a witness have something to say.
void exercise(engine::Model& model, const VerifyWorkload& workload);

}  // namespace assay::measure
