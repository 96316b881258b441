#pragma once

#include <vector>

#include "engine/model.h"

namespace assay::engine {

/// What a loaded model consists of, for the files that run it.
struct Model::State {
  State(const ModelSource& source, const precision::Plan& plan, precision::Ledger& ledger,
        const LoadOptions& options);

  base::ThreadPool pool;
  kernels::cpu::Workspace workspace;
  ops::Context context;
  models::Transformer transformer;
  std::vector<std::int32_t> rows;
};

}  // namespace assay::engine
