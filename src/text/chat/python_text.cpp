#include "text/chat/python_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "text/unicode.h"

namespace assay::text::chat {
namespace {

/// Digits behind optional white space and sign, underscores only between digits; false otherwise.
bool plain_digits(std::string_view text, std::string& out) {
  bool digit_before = false;
  for (const char c : text) {
    if (c == '_') {
      if (!digit_before) return false;
      digit_before = false;
      continue;
    }
    out.push_back(c);
    digit_before = std::isalnum(static_cast<unsigned char>(c)) != 0;
  }
  return text.empty() || text.back() != '_';
}

bool printable_code(char32_t c) {
  if (c == U' ') return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool is_line_break(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

/// Value of `count` hexadecimal digits at `at`; false if they are not there.
bool hexadecimal(std::string_view text, std::size_t at, std::size_t count, char32_t& value) {
  if (at + count > text.size()) return false;
  value = 0;
  for (const char c : text.substr(at, count)) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return false;
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    value = value * 16 + static_cast<char32_t>(digit);
  }
  return value < 0xD800 || (value > 0xDFFF && value <= 0x10FFFF);
}

}  // namespace

bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view strip_text(std::string_view text, const std::string* chars, bool left,
                            bool right) {
  const auto strips = [&](char32_t c) {
    if (chars == nullptr) return is_python_space(c);
    for (std::size_t at = 0; at < chars->size();) {
      if (next_code_point(*chars, at) == c) return true;
    }
    return false;
  };
  while (left && !text.empty()) {
    std::size_t next = 0;
    if (!strips(next_code_point(text, next))) break;
    text.remove_prefix(next);
  }
  while (right && !text.empty()) {
    std::size_t before = text.size();
    if (!strips(previous_code_point(text, before))) break;
    text = text.substr(0, before);
  }
  return text;
}

std::size_t find_text(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const std::string_view rest = text.substr(from);
  const void* found = memmem(rest.data(), rest.size(), part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t rfind_text(std::string_view text, std::string_view part) {
  const std::string backward(text.rbegin(), text.rend());
  const std::size_t found = find_text(backward, std::string(part.rbegin(), part.rend()));
  if (found == std::string_view::npos) return found;
  return text.size() - found - part.size();
}

std::size_t length_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t offset_of(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  while (at < text.size() && index > 0) {
    (void)next_code_point(text, at);
    --index;
  }
  return at;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at;
    const char32_t c = next_code_point(text, at);
    if (!is_line_break(c)) continue;
    lines.push_back(text.substr(begin, end - begin));
    if (c == U'\r' && at < text.size() && text[at] == '\n') ++at;
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string quoted_text(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const auto code = static_cast<std::uint32_t>(c);
    if (c == static_cast<char32_t>(quote) || c == U'\\') {
      out += {'\\', static_cast<char>(c)};
    } else if (c == U'\n' || c == U'\r' || c == U'\t') {
      out += c == U'\n' ? "\\n" : c == U'\r' ? "\\r" : "\\t";
    } else if (printable_code(c)) {
      out += text.substr(begin, at - begin);
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  std::string shown = fmt::format("{}", value);
  if (shown.find_first_of(".einf") == std::string::npos) shown += ".0";
  return shown;
}

bool unescape(std::string_view literal, std::string& out) {
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\') {
      out.push_back(literal[i]);
      continue;
    }
    if (++i == literal.size()) return false;
    const char c = literal[i];
    constexpr std::string_view kFrom = "\\'\"abfnrtv";
    const std::size_t simple = kFrom.find(c);
    if (simple != std::string_view::npos) {
      out.push_back("\\'\"\a\b\f\n\r\t\v"[simple]);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t code = 0;
      if (!hexadecimal(literal, i + 1, digits, code)) return false;
      append_utf8(out, code);
      i += digits;
    } else if (c >= '0' && c <= '7') {
      char32_t code = 0;
      std::size_t digits = 0;
      for (; digits < 3 && i + digits < literal.size(); ++digits) {
        const char digit = literal[i + digits];
        if (digit < '0' || digit > '7') break;
        code = code * 8 + static_cast<char32_t>(digit - '0');
      }
      append_utf8(out, code);
      i += digits - 1;
    } else if (c == 'N') {
      return false;
    } else if (c != '\n') {
      out += {'\\', c};
    }
  }
  return true;
}

std::optional<long long> parse_integer(std::string_view text, int base) {
  text = strip_text(text, nullptr, true, true);
  std::string digits;
  if (text.empty() || !plain_digits(text, digits)) return std::nullopt;
  const std::size_t start = digits[0] == '+' || digits[0] == '-' ? 1 : 0;
  if (start == digits.size()) return std::nullopt;
  // strtoll would take more: white space behind the sign, octal for a leading zero.
  if (std::isalnum(static_cast<unsigned char>(digits[start])) == 0) return std::nullopt;
  const char mark = digits.size() > start + 1 ? static_cast<char>(digits[start + 1] | 0x20) : '\0';
  const bool marked =
      digits[start] == '0' && ((mark == 'b' && base == 2) || (mark == 'o' && base == 8));
  if (marked) digits.erase(start, 2);
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(digits.c_str(), &end, base);
  const bool whole = end == digits.c_str() + digits.size() && digits.size() > start;
  return whole && errno == 0 ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_real(std::string_view text) {
  text = strip_text(text, nullptr, true, true);
  std::string digits;
  if (text.empty() || !plain_digits(text, digits)) return std::nullopt;
  // strtod would take hexadecimal and "nan(...)", and white space again.
  const std::size_t odd = digits.find_first_of("xXpP( \t\n\v\f\r");
  if (odd != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  return end == digits.c_str() + digits.size() ? std::optional(value) : std::nullopt;
}

}  // namespace assay::text::chat
