#pragma once

#include "ops/linear.h"

namespace assay::engine {

/// What a layer of a plan asks of a kernel.
[[nodiscard]] kernels::cpu::LinearProblem problem_of(const precision::LayerInfo& layer,
                                                     const precision::Precision& precision);

}  // namespace assay::engine
