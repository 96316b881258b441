#pragma once

#include <string>
#include <vector>

namespace assay::precision {

/// Whether one of them holds `part`.
inline bool mentions(const std::vector<std::string>& notices, const std::string& part) {
  for (const std::string& notice : notices) {
    if (notice.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace assay::precision
