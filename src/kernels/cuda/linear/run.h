#pragma once

#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear/paths.h"

namespace assay::kernels::cuda::linear {

/// Runs one kernel of one path: brings the activations into its operand type, launches it, and
/// returns what the launched code says it is.
Identity run(const LinearCall& call, const Entry& entry, const PathCode& code);
Identity lookup(const PackedWeight& weight, precision::Encoding encoding, const std::int32_t* ids,
                tensor::MatrixView y, Stream& stream, const LookupEntry& entry);

}  // namespace assay::kernels::cuda::linear
