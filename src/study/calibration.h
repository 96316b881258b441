#pragma once

#include <filesystem>

#include "engine/planner.h"
#include "study/cell.h"

namespace assay::study {

/// The plan of a recipe, after a calibration where one is asked for. That runs in a process of its
/// own (`assay calibration`), so that the fp32 model's memory is not in the cell's peak. A plan
/// that is unsupported anyway is not calibrated. Errors of reading the data are those of the child.
[[nodiscard]] precision::Plan calibrated_plan(const engine::ModelSource& source,
                                              const precision::Recipe& recipe, const Cell& cell,
                                              const base::ProgressSink& progress);

/// Where the table of such a calibration is kept for the cells after it: a file of the program's
/// own cache, named after all that the table depends on (model, data, this build, instruction set).
/// Empty where there is no cache, or the data cannot be read.
[[nodiscard]] std::filesystem::path kept_table(const Cell& cell,
                                               const precision::CalibrationData& data,
                                               const base::ProgressSink& progress);

/// What the data say about the cell's model: read from a table's file or from kept_table(), else
/// seen by a process of its own and kept. Errors: those of reading; bad_data for the table of
/// another model.
[[nodiscard]] precision::CalibrationTable calibration_table(const Cell& cell,
                                                            const precision::CalibrationData& data,
                                                            const base::ProgressSink& progress);

/// Hidden subcommand `assay calibration`: {"model", "threads", "file", "samples", "length",
/// "random"} -> stages, then the table or an error, as frames of JSON on `fd`.
void run_calibration(const Json& spec, int fd);

}  // namespace assay::study
