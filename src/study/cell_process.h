#pragma once

#include <functional>

#include "study/cell.h"
#include "study/failure.h"

namespace assay::study {

struct WatchOptions {
  double stall_seconds = 600;  ///< no record for so long: timeout
  double grace_seconds = 5;    ///< between being told to stop and being killed
  bool verbose = false;        ///< the child's standard error is ours
};

/// Runs one cell in a child process (`assay cell`), passes on its records as they come, and says
/// how it ended. Sleeps in poll(). Never throws for what the child does; what `record` throws ends
/// the child and is passed on.
[[nodiscard]] Outcome watch_cell(const Cell& cell, const WatchOptions& options,
                                 const RecordSink& record);

}  // namespace assay::study
