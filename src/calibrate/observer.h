#pragma once

#include <map>

#include "precision/calibration.h"
#include "tensor/tensor.h"

namespace assay::calibrate {

/// Collects what enters linear layers, by name.
class Observer {
 public:
  /// x is f32 [rows, cols]; internal error for another type or for a layer whose width changes.
  void see(const std::string& layer, tensor::MatrixView x);
  /// All layers in order of their names.
  [[nodiscard]] std::vector<precision::LayerCalibration> take();

 private:
  std::map<std::string, precision::LayerCalibration> layers_;
};

}  // namespace assay::calibrate
