#pragma once

#include "engine/placement.h"
#include "engine/source.h"
#include "precision/calibration.h"
#include "precision/plan.h"

namespace assay::engine {

struct PlanOptions {
  std::string device = "cpu";  ///< cpu, cuda[:N], auto
  bool fallback = false;       ///< --on-unsupported fallback
  /// What the recipe's calibration data gave (calibrate/calibrate.h). Without it the plan of such a
  /// recipe can be looked at, not loaded.
  const precision::CalibrationTable* calibration = nullptr;
  /// CUDA devices to plan for in place of those that are there.
  const std::vector<DeviceInfo>* devices = nullptr;
};

/// Device named by the text; device_missing with the reason where it is not there ("built without
/// CUDA"), usage error for nonsense. Makes no CUDA context.
[[nodiscard]] tensor::Device resolve_device(const std::string& text);

/// Everything about a device that a result may depend on: "cpu", or for CUDA devices name, UUID and
/// path of each that the text names, and `auto`'s memory budgets.
[[nodiscard]] Json device_identity(const std::string& text);

/// What `sixteen_bit: auto` means on a device: bf16 on the CPU and on CUDA devices that have it,
/// fp16 on those of a capability below 8.0.
[[nodiscard]] tensor::DType sixteen_bit_type(tensor::Device device);

/// Recipe + model + device -> plan. Never throws for an unavailable precision: the plan says so.
/// Usage errors: rules that match nothing and the like (precision::assign).
[[nodiscard]] precision::Plan make_plan(const ModelSource& model, const precision::Recipe& recipe,
                                        const PlanOptions& options);

}  // namespace assay::engine
