#pragma once

#include <filesystem>

#include "precision/calibration.h"

namespace assay::calibrate {

/// Writes a table of the model with this content hash as JSON. Errors: io.
void write_table(const std::filesystem::path& file, const std::string& model,
                 const precision::CalibrationTable& table);

/// Reads it back. bad_data if it is no such file or was made from another model.
[[nodiscard]] precision::CalibrationTable read_table(const std::filesystem::path& file,
                                                     const std::string& model);

}  // namespace assay::calibrate
