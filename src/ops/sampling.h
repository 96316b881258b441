#pragma once

#include <cstdint>
#include <span>

#include "base/hash.h"

namespace assay::ops {

/// Index of the largest logit; the first of equals. Numeric error if a logit is NaN.
[[nodiscard]] std::int64_t argmax(std::span<const float> logits);

/// Draws an index from softmax(logits / temperature), in double; `top_k` largest only (0: all),
/// then the smallest set of the likeliest whose probabilities reach `top_p` (1: all). A temperature
/// of 0 or less is argmax. Numeric error if the logits hold NaN or +infinity, or nothing finite.
[[nodiscard]] std::int64_t sample(std::span<const float> logits, float temperature, int top_k,
                                  float top_p, base::Random& random);

}  // namespace assay::ops
