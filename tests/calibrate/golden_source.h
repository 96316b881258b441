#pragma once

#include <memory>
#include <string>

#include "engine/model.h"
#include "models/write_model.h"

namespace assay::calibrate {

inline std::shared_ptr<const engine::ModelSource> golden(const std::string& name) {
  return engine::ModelSource::open(testing::golden_model(name));
}

}  // namespace assay::calibrate
