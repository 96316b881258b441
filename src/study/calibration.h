#pragma once

#include "engine/planner.h"
#include "study/cell.h"

namespace assay::study {

/// The plan of a recipe, after a calibration where one is asked for. That runs in a process of its
/// own (`assay calibration`), so that the fp32 model's memory is not in the cell's peak. A plan
/// that is unsupported anyway is not calibrated. Errors of reading the data are those of the child.
[[nodiscard]] precision::Plan calibrated_plan(const engine::ModelSource& source,
                                              const precision::Recipe& recipe, const Cell& cell,
                                              const base::ProgressSink& progress);

/// What the data say about the cell's model: read from a table's file, else seen by a process of
/// its own. Errors: those of reading; bad_data for the table of another model.
[[nodiscard]] precision::CalibrationTable calibration_table(const Cell& cell,
                                                            const precision::CalibrationData& data,
                                                            const base::ProgressSink& progress);

/// Hidden subcommand `assay calibration`: {"model", "threads", "file", "samples", "length",
/// "random"} -> stages, then the table or an error, as frames of JSON on `fd`.
void run_calibration(const Json& spec, int fd);

}  // namespace assay::study
