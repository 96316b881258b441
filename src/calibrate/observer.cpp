#include "calibrate/observer.h"

#include <cmath>

namespace assay::calibrate {

void Observer::see(const std::string& layer, tensor::MatrixView x) {
  precision::LayerCalibration& seen = layers_[layer];
  const auto cols = static_cast<std::size_t>(x.cols);
  if (seen.column_absmax.empty()) seen.column_absmax.resize(cols);
  if (x.type != tensor::DType::f32 || seen.column_absmax.size() != cols) {
    fail(ErrorCode::internal, "{}: calibration saw {} columns of {}, {} before", layer, x.cols,
         tensor::name_of(x.type), seen.column_absmax.size());
  }
  seen.rows += x.rows;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    const std::span<const float> row(x.row<float>(r), cols);
    for (std::size_t i = 0; i < cols; ++i) {
      seen.column_absmax[i] = std::max(seen.column_absmax[i], std::fabs(row[i]));
    }
    seen.magnitudes.add(row);
  }
}

std::vector<precision::LayerCalibration> Observer::take() {
  std::vector<precision::LayerCalibration> all;
  for (auto& [name, layer] : layers_) {
    layer.layer = name;
    all.push_back(std::move(layer));
  }
  layers_.clear();
  return all;
}

}  // namespace assay::calibrate
