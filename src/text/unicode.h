#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace assay::text {

/// Half-open byte range in a text.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::size_t size() const { return end - begin; }
  [[nodiscard]] std::string_view of(std::string_view text) const {
    return text.substr(begin, end - begin);
  }
};

/// The code point at `position` of valid UTF-8; `position` moves behind it.
[[nodiscard]] char32_t next_code_point(std::string_view text, std::size_t& position);
/// The code point that ends at `position` (> 0) of valid UTF-8; `position` moves before it.
[[nodiscard]] char32_t previous_code_point(std::string_view text, std::size_t& position);
void append_utf8(std::string& out, char32_t code_point);

/// `text` itself when it is valid UTF-8; else a copy in `storage` in which every maximal ill-formed
/// part is U+FFFD, as Python's errors="replace" and the Unicode standard's recommendation do.
[[nodiscard]] std::string_view valid_utf8(std::string_view text, std::string& storage);

/// Property White_Space.
[[nodiscard]] bool is_white_space(char32_t code_point);
/// General category N (Nd, Nl, No).
[[nodiscard]] bool is_numeric(char32_t code_point);
/// General category M (Mn, Mc, Me) of Unicode 9.0, by which the reference goes.
[[nodiscard]] bool is_mark(char32_t code_point);
/// A regular expression's \w: letters, marks, decimal digits, connectors.
[[nodiscard]] bool is_word(char32_t code_point);
/// Full lower-case mapping of one code point, without context.
void append_lower(std::u32string& out, char32_t code_point);
/// Simple title-case mapping of one code point.
[[nodiscard]] char32_t to_title(char32_t code_point);

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };
/// Unicode normalization in O(n log n) for any input, by Unicode 9.0, as the reference has it.
[[nodiscard]] std::u32string normalize_form(std::u32string_view text, UnicodeForm form);

[[nodiscard]] std::u32string to_utf32(std::string_view valid_utf8);
[[nodiscard]] std::string to_utf8(std::u32string_view text);

}  // namespace assay::text
