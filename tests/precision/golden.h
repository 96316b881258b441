#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/json.h"

// Reads the golden files of tests/golden/precision: arrays as hexadecimal text of their bytes.
namespace assay::precision {

inline Json read_golden(const std::string& file) {
  return base::read_json(std::string(ASSAY_GOLDEN_DIR) + "/precision/" + file);
}

/// A copy of one list of a golden file, so that a loop may run over the result itself.
inline Json golden_cases(const std::string& file, const std::string& key) {
  return read_golden(file).at(key);
}

template <typename T>
std::vector<T> unhex(const Json& text) {
  const auto& digits = text.get_ref<const std::string&>();
  std::vector<std::uint8_t> bytes(digits.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  }
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace assay::precision
