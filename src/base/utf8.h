#pragma once

#include <string_view>

namespace assay::base {

/// One character of UTF-8 text. `length` is its bytes (1 to 4), or 0 where the bytes are no valid
/// UTF-8 (overlong forms, surrogates and values over U+10FFFF included).
struct Utf8Char {
  char32_t code = 0;
  int length = 0;
};

/// The character at the start of `text`; length 0 for an empty text.
[[nodiscard]] Utf8Char decode_utf8(std::string_view text) noexcept;

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace assay::base
