#pragma once

#include "files/tensor_file_builder.h"

namespace assay::files {

/// Reads one safetensors file. All checks of the reference implementation are made; beyond them,
/// unknown fields of a tensor are refused, shapes have at most 64 dimensions, and names with
/// metadata stay within kHeaderBudget.
[[nodiscard]] TensorFile read_safetensors(const RawFile& file);

}  // namespace assay::files
