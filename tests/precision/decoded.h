#pragma once

#include <span>
#include <vector>

#include "precision/encoding.h"

namespace assay::precision {

/// All values of an encoded tensor, row by row.
inline std::vector<float> decode(const EncodedTensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  const auto cols = static_cast<std::size_t>(tensor.cols);
  for (std::int64_t r = 0; r < tensor.rows; ++r) {
    const auto row = std::span(values).subspan(static_cast<std::size_t>(r) * cols, cols);
    info(tensor.encoding).decode_row(tensor, r, row);
  }
  return values;
}

}  // namespace assay::precision
