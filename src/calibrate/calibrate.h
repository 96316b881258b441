#pragma once

#include "engine/model.h"
#include "precision/calibration.h"

namespace assay::calibrate {

/// Token sequences that a model is calibrated with.
struct Data {
  std::vector<std::vector<engine::TokenId>> sequences;
  std::string origin;  ///< "wiki.txt, 32 sequences, 8192 tokens"
};

/// Random tokens where these are asked for, else whatever engine::read_samples reads; its errors.
[[nodiscard]] Data read_data(const engine::ModelSource& source,
                             const precision::CalibrationData& wanted);

/// Runs the model in fp32 over the data, one sequence at a time, and notes what enters each linear
/// layer. In fp32 the result is the same for any number of threads.
[[nodiscard]] precision::CalibrationTable run(
    const std::shared_ptr<const engine::ModelSource>& source, const Data& data,
    const engine::LoadOptions& options);

}  // namespace assay::calibrate
