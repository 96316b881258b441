#pragma once

#include <vector>

#include "engine/model.h"

namespace assay::engine {

/// What a loaded model consists of, for the files that run it.
struct Model::State {
  State(const ModelSource& source, const precision::Plan& plan, precision::Ledger& ledger,
        const LoadOptions& options);

  /// The queue of the only device of a model that is on one CUDA device; else nullptr.
  [[nodiscard]] ops::CudaQueue* only_queue() const;

  base::ThreadPool pool;
  kernels::cpu::Workspace workspace;
  ops::CudaQueues queues;
  ops::Context context;
  models::Transformer transformer;
  std::vector<std::int32_t> rows;
};

}  // namespace assay::engine
