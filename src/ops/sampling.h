#pragma once

#include <cstdint>
#include <span>

#include "ops/context.h"

namespace assay::ops {

using kernels::cpu::Draw;

/// Index of the largest logit; the first of equals. Numeric error if a logit is NaN.
[[nodiscard]] std::int64_t argmax(std::span<const float> logits);

/// tokens[r] is drawn from row r of f32 logits [rows, vocabulary] as draws[r] says
/// (kernels::cpu::draw_token): the same on every device; -1 where the logits hold NaN or +infinity,
/// or nothing finite. `draws` and `tokens` are where the logits are. On a CUDA device it is queued.
/// Unsupported for a vocabulary beyond kernels::cpu::kMostWeights.
void sample(tensor::MatrixView logits, const Draw* draws, std::int32_t* tokens, Context& context);

}  // namespace assay::ops
