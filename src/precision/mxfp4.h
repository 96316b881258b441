#pragma once

#include "precision/encoding.h"

namespace assay::precision {

/// A weight of shape [rows, cols] in mxfp4 from two tensors as gpt-oss' checkpoints have them:
/// `blocks` [rows, cols / 32, 16], e2m1 codes, the first of two weights in the low nibble, and
/// `scales` [rows, cols / 32], e8m0 exponents. No code changes; the nibbles move to the places
/// where GGUF has them. bad_data if the sizes do not fit, or cols is no multiple of 32.
[[nodiscard]] EncodedTensor mxfp4_from_pairs(std::span<const std::byte> blocks,
                                             std::span<const std::byte> scales, std::int64_t rows,
                                             std::int64_t cols);

}  // namespace assay::precision
