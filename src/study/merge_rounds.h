#pragma once

#include <vector>

#include "base/json.h"

namespace assay::study {

/// Rows of the rounds of an interleaved cell, one row a test, in the order of the first round. The
/// samples of all rounds stand in one list and times are computed from it anew ("rounds" holds the
/// value of each); energies are weighted by their iterations; of memory and noise floor the largest
/// counts. A row is proved when it was in every round, and not ok when it once was not.
[[nodiscard]] std::vector<Json> merge_rounds(const std::vector<Json>& rows);

}  // namespace assay::study
