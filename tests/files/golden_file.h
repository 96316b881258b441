#pragma once

#include <filesystem>
#include <string>

namespace assay::testing {

inline std::filesystem::path golden_file(const std::string& name) {
  return std::filesystem::path(ASSAY_GOLDEN_DIR) / "files" / name;
}

}  // namespace assay::testing
