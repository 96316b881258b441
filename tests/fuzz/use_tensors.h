#pragma once

#include "files/tensor_file.h"

namespace assay::fuzz {

/// Reads every byte and decodes every row that a file claims to hold, as a caller would; a number
/// that depends on all of it.
[[nodiscard]] std::uint64_t use_tensors(const files::TensorFile& file);

}  // namespace assay::fuzz
