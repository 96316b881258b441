#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Text as Python's str has it. All of it takes and gives valid UTF-8.
namespace assay::text::chat {

/// str.isspace of one character.
[[nodiscard]] bool is_python_space(char32_t code_point);

/// Without the characters of `chars` (white space if null) at its ends.
[[nodiscard]] std::string_view strip_text(std::string_view text, const std::string* chars,
                                          bool left, bool right);

/// Where `part` first stands in `text` at or behind `from`, or last; npos if nowhere. In linear
/// time, unlike std::string's.
[[nodiscard]] std::size_t find_text(std::string_view text, std::string_view part,
                                    std::size_t from = 0);
[[nodiscard]] std::size_t rfind_text(std::string_view text, std::string_view part);

/// Number of code points.
[[nodiscard]] std::size_t length_of(std::string_view text);
/// Byte position of the code point `index`; the size of `text` if there is none.
[[nodiscard]] std::size_t offset_of(std::string_view text, std::size_t index);

enum class Case { lower, upper, capitalize, title, title_words };
/// str.lower, upper, capitalize and title; `title_words` is jinja2's filter of that name.
[[nodiscard]] std::string change_case(std::string_view text, Case to);

enum class Property { alpha, digit, alphanumeric, space, lower, upper };
/// str.isalpha, isdigit, isalnum, isspace, islower, isupper.
[[nodiscard]] bool has_property(std::string_view text, Property property);

/// str.splitlines.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);

/// repr() of a string.
[[nodiscard]] std::string quoted_text(std::string_view text);
/// repr() of a float.
[[nodiscard]] std::string real_text(double value);

/// The escapes of a Python string literal, appended to `out`; false if one is malformed.
[[nodiscard]] bool unescape(std::string_view literal, std::string& out);

/// int(text, base) and float(text); nothing where Python would raise ValueError.
[[nodiscard]] std::optional<long long> parse_integer(std::string_view text, int base);
[[nodiscard]] std::optional<double> parse_real(std::string_view text);

}  // namespace assay::text::chat
