#include "text/chat/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/utf8.h"
#include "text/chat/python_text.h"
#include "text/chat/run.h"
#include "text/unicode.h"

namespace assay::text::chat {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// One kind of line end; one at the very end is dropped.
std::string with_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out.push_back(source[i]);
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string source, const std::string& name) : source_(std::move(source)), name_(name) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text_part();
    add(TokenType::end);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { fail_at(name_, line_, what); }

  [[nodiscard]] bool here(std::string_view what) const {
    return std::string_view(source_).substr(at_).starts_with(what);
  }
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  Token& add(TokenType type) {
    Token& token = tokens_.emplace_back();
    token.type = type;
    token.line = line_;
    return token;
  }

  /// Moves to `end`, counting lines.
  void advance(std::size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    line_starting_ = end > at_ && source_[end - 1] == '\n';
    at_ = end;
  }
  [[nodiscard]] std::size_t behind_space(std::size_t position) const {
    while (position < source_.size()) {
      std::size_t next = position;
      if (!is_python_space(next_code_point(source_, next))) break;
      position = next;
    }
    return position;
  }

  /// `text` as it stands before a tag with whitespace control `sign` (or '\0').
  [[nodiscard]] std::string_view before_tag(std::string_view text, char sign, bool variable) const {
    if (sign == '-') return strip_text(text, nullptr, false, true);
    if (sign == '+' || variable) return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return text;
    return strip_text(text.substr(begin), nullptr, true, true).empty() ? text.substr(0, begin)
                                                                       : text;
  }

  void data(std::string_view text) {
    if (!text.empty()) add(TokenType::data).value = text;
  }

  void text_part() {
    const std::size_t begin = at_;
    std::size_t tag = source_.find('{', at_);
    while (tag != std::string::npos &&
           (tag + 1 >= source_.size() ||
            std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos)) {
      tag = source_.find('{', tag + 1);
    }
    const std::string_view all = source_;
    if (tag == std::string::npos) {
      data(all.substr(begin));
      advance(source_.size());
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const bool controlled = sign == '-' || sign == '+';
    data(before_tag(all.substr(begin, tag - begin), controlled ? sign : '\0', kind == '{'));
    const std::size_t inside = tag + (controlled ? 3 : 2);
    if (kind == '%') {
      const std::size_t raw = raw_begin(inside);
      advance(raw != 0 ? raw : inside);
      if (raw != 0) return raw_part();
    } else {
      advance(inside);
    }
    if (kind == '#') return comment();
    expression(kind == '%');
  }

  /// Position behind "raw %}" if that stands at `position`, else 0.
  [[nodiscard]] std::size_t raw_begin(std::size_t position) const {
    const std::string_view all = source_;
    position = behind_space(position);
    if (!all.substr(position).starts_with("raw")) return 0;
    position = behind_space(position + 3);
    if (all.substr(position).starts_with("-%}")) return behind_space(position + 3);
    return all.substr(position).starts_with("%}") ? position + 2 : 0;
  }

  /// Position behind the tag's end if one stands at `position`, else 0. Without `trim`, a newline
  /// behind it stays.
  [[nodiscard]] std::size_t tag_end(std::size_t position, std::string_view end, bool block) const {
    const std::string_view rest = std::string_view(source_).substr(position);
    if (rest.starts_with('-') && rest.substr(1).starts_with(end)) {
      return behind_space(position + 1 + end.size());
    }
    if (block && rest.starts_with('+') && rest.substr(1).starts_with(end)) {
      return position + 1 + end.size();
    }
    if (!rest.starts_with(end)) return 0;
    position += end.size();
    return block && position < source_.size() && source_[position] == '\n' ? position + 1
                                                                           : position;
  }

  void raw_part() {
    if (at_ == source_.size()) return;  // as jinja2 does, though nothing closes the block
    const std::string_view all = source_;
    for (std::size_t tag = all.find("{%", at_); tag != std::string_view::npos;
         tag = all.find("{%", tag + 1)) {
      std::size_t position = tag + 2;
      const char sign = position < all.size() ? all[position] : '\0';
      const bool controlled = sign == '-' || sign == '+';
      position = behind_space(position + (controlled ? 1 : 0));
      if (!all.substr(position).starts_with("endraw")) continue;
      const std::size_t end = tag_end(behind_space(position + 6), "%}", true);
      if (end == 0) continue;
      data(before_tag(all.substr(at_, tag - at_), controlled ? sign : '\0', false));
      return advance(end);
    }
    fail("the raw block is not closed");
  }

  void comment() {
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string::npos) fail("the comment is not closed");
    const bool controlled = close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+');
    advance(tag_end(controlled ? close - 1 : close, "#}", true));
  }

  void expression(bool block) {
    add(block ? TokenType::block_begin : TokenType::variable_begin);
    brackets_.clear();
    while (at_ < source_.size()) {
      const std::size_t end = brackets_.empty() ? tag_end(at_, block ? "%}" : "}}", block) : 0;
      if (end != 0) {
        add(block ? TokenType::block_end : TokenType::variable_end);
        return advance(end);
      }
      const std::size_t space = behind_space(at_);
      if (space != at_) {
        advance(space);
      } else {
        token();
      }
    }
  }

  void token() {
    const char c = peek();
    if (is_digit(c)) return number();
    if (c == '\'' || c == '"') return quoted();
    std::size_t end = at_;
    while (end < source_.size()) {
      std::size_t next = end;
      const char32_t code = next_code_point(source_, next);
      if (code != U'_' && !is_word(code)) break;
      end = next;
    }
    if (end == at_) return sign();
    add(TokenType::name).value = source_.substr(at_, end - at_);
    advance(end);
  }

  void sign() {
    constexpr std::string_view kTwo[] = {"**", "//", "==", "!=", ">=", "<="};
    std::size_t length = 1;
    for (const std::string_view two : kTwo) {
      if (here(two)) length = 2;
    }
    const char c = peek();
    if (length == 1 && std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      const auto bytes = static_cast<std::size_t>(
          std::max(1, base::decode_utf8(std::string_view(source_).substr(at_)).length));
      fail(fmt::format("unexpected character '{}'", source_.substr(at_, bytes)));
    }
    if (c == '(' || c == '[' || c == '{') {
      brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) fail(fmt::format("unexpected '{}'", c));
      if (brackets_.back() != c) fail(fmt::format("'{}' where '{}' is due", c, brackets_.back()));
      brackets_.pop_back();
    }
    add(TokenType::sign).value = source_.substr(at_, length);
    advance(at_ + length);
  }

  /// Behind digits with single underscores between them.
  [[nodiscard]] std::size_t behind_digits(std::size_t position) const {
    while (position < source_.size() &&
           (is_digit(source_[position]) ||
            (source_[position] == '_' && position + 1 < source_.size() &&
             is_digit(source_[position + 1])))) {
      ++position;
    }
    return position;
  }
  /// Behind "e+5" at `position`, or `position`.
  [[nodiscard]] std::size_t behind_exponent(std::size_t position) const {
    if (position >= source_.size() || (source_[position] | 0x20) != 'e') return position;
    std::size_t digits = position + 1;
    if (digits < source_.size() && (source_[digits] == '+' || source_[digits] == '-')) ++digits;
    const bool some = digits < source_.size() && is_digit(source_[digits]);
    return some ? behind_digits(digits) : position;
  }

  void number() {
    const char next = static_cast<char>(peek(1) | 0x20);
    if (peek() == '0' && (next == 'x' || next == 'o' || next == 'b')) {
      return integer(2, next == 'x' ? 16 : next == 'o' ? 8 : 2);
    }
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const std::size_t whole = behind_digits(at_);
    std::size_t end = whole;
    if (!after_dot && end + 1 < source_.size() && source_[end] == '.' &&
        is_digit(source_[end + 1])) {
      end = behind_digits(end + 1);
    }
    if (!after_dot) end = behind_exponent(end);
    if (end == whole) return integer(0, 10);
    std::string digits = source_.substr(at_, end - at_);
    std::erase(digits, '_');
    add(TokenType::real).real = std::strtod(digits.c_str(), nullptr);
    advance(end);
  }

  void integer(std::size_t prefix, int base) {
    std::size_t end = at_ + prefix;
    std::string digits;
    for (; end < source_.size(); ++end) {
      const char c = source_[end];
      const bool fits = base == 16 ? std::isxdigit(static_cast<unsigned char>(c)) != 0
                                   : is_digit(c) && c < '0' + base;
      if (!fits && c != '_') break;
      if (fits) digits.push_back(c);
    }
    std::int64_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (read.ec != std::errc()) fail("malformed or too large integer");
    add(TokenType::integer).integer = value;
    advance(end);
  }

  void quoted() {
    const char quote = peek();
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail("the string is not closed");
    std::string value;
    if (!unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1), value)) {
      fail("malformed escape in a string");
    }
    add(TokenType::text).value = std::move(value);
    advance(end + 1);
  }

  std::string source_;
  const std::string& name_;
  std::vector<Token> tokens_;
  std::vector<char> brackets_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& name) {
  if (source.size() > kMaxTemplateBytes) {
    fail_at(name, 1, fmt::format("the template has more than {} bytes", kMaxTemplateBytes));
  }
  std::string storage;
  return Lexer(with_newlines(valid_utf8(source, storage)), name).run();
}

}  // namespace assay::text::chat
