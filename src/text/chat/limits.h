#pragma once

#include <cstddef>

namespace assay::text::chat {

/// What one rendering may use up.
struct Limits {
  /// One per node evaluated and per list item made, one per 16 bytes of text made or searched, one
  /// per 4 whose case is changed.
  std::size_t steps = 10'000'000;
  /// Bytes of one text, the output included.
  std::size_t text_bytes = std::size_t{16} << 20;
};

}  // namespace assay::text::chat
