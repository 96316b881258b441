#pragma once

#include "base/progress.h"
#include "engine/source.h"
#include "models/transformer.h"
#include "precision/plan.h"

namespace assay::engine {

/// Every weight of the model as the plan wants it: read from the mapping, where needed decoded and
/// encoded anew in pieces (no second copy in f32 is made), packed for its kernel. Reports progress
/// by bytes of the file. Errors: numeric naming file and tensor, unsupported if a kernel is gone.
[[nodiscard]] models::Weights load_weights(const ModelSource& source, const precision::Plan& plan,
                                           ops::Context& context,
                                           const base::ProgressSink& progress);

}  // namespace assay::engine
