#pragma once

#include <string>
#include <vector>

#include "report/answers.h"

namespace assay::report {

/// What every format is made from: environment of the run and all rows, as design.md section 8's
/// stable interface: {"assay": version, "environment": {...}, "rows": [...]}; with `items` also
/// "comparisons", the paired statistics of report/answers.h.
[[nodiscard]] Json document(const std::vector<study::StoredCell>& cells,
                            const ItemSource& items = {});

/// The table for people: one line a cell (recipe, runs on, proved, size, prompt speed, decode speed
/// or ms a sample, speedup against the first 16-bit row of the model, fidelity, energy, verdict in
/// words), one block per model, and with `items` what the answers prove. `markdown` for pipes.
[[nodiscard]] std::string table(const std::vector<study::StoredCell>& cells, bool markdown,
                                bool verbose = false, const ItemSource& items = {});
[[nodiscard]] std::string csv(const std::vector<study::StoredCell>& cells);
[[nodiscard]] std::string json(const std::vector<study::StoredCell>& cells,
                               const ItemSource& items = {});
[[nodiscard]] std::string jsonl(const std::vector<study::StoredCell>& cells);
/// One sentence that answers "which precision": fastest proved recipe within a stated fidelity.
[[nodiscard]] std::string answer(const std::vector<study::StoredCell>& cells);

}  // namespace assay::report
