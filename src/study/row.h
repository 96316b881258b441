#pragma once

#include <string>
#include <vector>

#include "engine/model.h"

namespace assay::study {

/// One row of design.md section 8 about what `model` ran since its ledger was last cleared.
/// `proved` is true when the ledger equals the plan, false (and the row `invalid`) when it does
/// not, null when nothing ran. A `reason` that is not empty makes the row invalid too.
[[nodiscard]] Json make_row(engine::Model& model, const std::string& test, Json metrics,
                            const std::vector<double>& samples, std::string reason,
                            const Json& notes);

}  // namespace assay::study
