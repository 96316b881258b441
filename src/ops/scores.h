#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/context.h"

namespace assay::ops {

/// What scoring asks of logits, on the host.
struct Scores {
  std::vector<double> log_sum_exp;   ///< of every row
  std::vector<std::int32_t> argmax;  ///< of every row, the first of equals
  std::vector<float> values;         ///< of the elements that were asked for
};

/// f32 logits [rows, vocabulary] of any device; elements (rows[i], columns[i]), which must be
/// there. Of a device only the scores are read back.
void score(tensor::MatrixView logits, std::span<const std::int32_t> rows,
           std::span<const std::int32_t> columns, Scores& scores, Context& context);

}  // namespace assay::ops
