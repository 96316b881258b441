#pragma once

#include "precision/encoding.h"

namespace assay::precision {

/// A weight to try kernels with: normal values with standard deviation 0.05 where the encoding has
/// an encoder, else random codes and scales whose values have that size. The same bits for the same
/// arguments. cols: whole blocks. unsupported for an encoding that is neither.
[[nodiscard]] EncodedTensor sample_weight(Encoding encoding, std::int64_t rows, std::int64_t cols,
                                          std::uint64_t seed);

}  // namespace assay::precision
