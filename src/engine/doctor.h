#pragma once

#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "precision/plan.h"

namespace assay::engine {

/// One precision tried on one device. `works` is only true when a kernel ran and its result agreed
/// with the reference; `reason` says why not.
struct Diagnosis {
  std::string precision;
  std::string device;
  bool works = false;
  std::string kernel;
  std::string path;        ///< instruction set or family of CUDA code
  double error = 0.0;      ///< max|difference| / max|reference|
  double tolerance = 0.0;  ///< what was allowed
  std::string reason;
};

/// Runs every precision that this build knows on a small problem on the CPU, against a reference in
/// double over the decoded weights (int8 activations: against the rounded activations too).
[[nodiscard]] std::vector<Diagnosis> diagnose_cpu();
/// The same for a CUDA device, "cuda:N": without it, every row says why. Makes a context there.
[[nodiscard]] std::vector<Diagnosis> diagnose_cuda(int index);

}  // namespace assay::engine
