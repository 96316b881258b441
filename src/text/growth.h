#pragma once

#include <cstddef>

#include "base/error.h"

namespace assay::text {

/// Bounds what the steps of a tokenizer make of a text: a file can chain replacements that each
/// double it, or put a megabyte for every letter. No real step is near the bound (NFKC makes at
/// most 18 characters of one, and only once). bad_data beyond 1 MiB and 64 times the text.
inline void check_growth(std::size_t from, std::size_t to) {
  constexpr std::size_t kFixed = std::size_t{1} << 20;
  constexpr std::size_t kFactor = 64;
  if (to > kFixed + kFactor * from) {
    fail(ErrorCode::bad_data,
         "the tokenizer's steps make {} bytes of a text of {}; {} times as many are allowed", to,
         from, kFactor);
  }
}

}  // namespace assay::text
