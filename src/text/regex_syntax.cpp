// Splitting patterns are written for Oniguruma; PCRE2 runs them. This file is the border between
// the two dialects: a pattern that both read alike passes unchanged.
#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/error.h"
#include "base/io.h"
#include "text/newer_classes.h"
#include "text/regex.h"

namespace assay::text {
namespace {

/// White_Space as set members; PCRE2's own \s adds U+180E and depends on the version.
constexpr std::string_view kSpace =
    R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc})";
constexpr std::string_view kSharedEscapes = "dDbBAzZnrtfaexR";

std::string word_members() {
  std::string members(kWord);
  for (const auto* category : {"L", "M", "Nd", "Nl", "Pc"}) members += newer_members(category);
  return members;
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (!done()) {
      check_length();
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (c == '[') {
        set();
      } else if (c == '(') {
        group();
      } else if (c == '{') {
        interval();
      } else {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool done() const { return at_ >= pattern_.size(); }
  [[nodiscard]] bool next_is(std::string_view text) const {
    return pattern_.substr(at_).starts_with(text);
  }
  void copy(std::size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorCode::bad_data,
         "{}: the splitting pattern '{}' uses {} at byte {}, which is not supported", where_,
         base::printable(pattern_), what, at_);
  }

  /// A class of three bytes may have members of a thousand: what a file says may not grow on.
  void check_length() const {
    if (out_.size() <= kLongestPattern) return;
    fail(ErrorCode::bad_data,
         "{}: the splitting pattern has more than {} bytes with the members of its classes, at "
         "byte {}",
         where_, kLongestPattern, at_);
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) refuse("a trailing backslash");
    const char c = pattern_[at_ + 1];
    if (c == 's' || c == 'S') return shorthand(c == 'S', kSpace);
    if (c == 'w' || c == 'W') return shorthand(c == 'W', word_members());
    if (c == 'p' || c == 'P') return property(c == 'P');
    plain_escape(c);
  }

  /// \p{L} and the like outside of sets; as a set where the category has newer members.
  void property(bool negated) {
    const std::size_t begin = at_;
    const std::string newer = newer_members(property_name());
    const std::string_view escape = pattern_.substr(begin, at_ - begin);
    if (newer.empty()) {
      out_ += escape;
      return;
    }
    out_ += negated ? "[^\\p" : "[\\p";
    out_ += escape.substr(2);
    out_ += newer;
    out_ += ']';
  }

  /// Moves behind \p{NAME} or \pL; its name, with a ^ in front as it stands.
  std::string_view property_name() {
    at_ += 2;
    if (!next_is("{")) {
      at_ = std::min(at_ + 1, pattern_.size());
      return pattern_.substr(at_ - 1, 1);
    }
    const auto close = pattern_.find('}', at_);
    if (close == std::string_view::npos) refuse("an unclosed brace");
    const std::string_view name = pattern_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    return name;
  }

  void shorthand(bool negated, std::string_view members) {
    out_ += negated ? "[^" : "[";
    out_ += members;
    out_ += ']';
    at_ += 2;
  }

  /// Escapes that mean the same inside and outside of sets.
  void plain_escape(char c) {
    if (c == 'u') return unicode_escape();
    if (c == 'v') {  // the vertical tab alone in Ruby, a class in PCRE2
      out_ += R"(\x{0b})";
      at_ += 2;
      return;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalpha(byte) != 0 && kSharedEscapes.find(c) == std::string_view::npos) {
      refuse(std::string("the escape \\") + c);
    }
    copy(2);
    if (c == 'x' && !done() && pattern_[at_] == '{') {
      const auto close = pattern_.find('}', at_);
      if (close == std::string_view::npos) refuse("an unclosed brace");
      copy(close + 1 - at_);
    }
  }

  void unicode_escape() {
    const std::string_view digits = pattern_.substr(at_ + 2, 4);
    if (digits.size() != 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos) {
      refuse("the escape \\u without four hexadecimal digits");
    }
    out_ += "\\x{";
    out_ += digits;
    out_ += '}';
    at_ += 6;
  }

  void set() {
    copy(next_is("[^") ? 2 : 1);
    if (!done() && pattern_[at_] == ']') refuse("']' as the first member of a set");
    while (!done() && pattern_[at_] != ']') {
      check_length();
      if (next_is("[:")) {
        const auto close = pattern_.find(":]", at_);
        if (close == std::string_view::npos) refuse("an unclosed [:");
        copy(close + 2 - at_);
      } else if (pattern_[at_] == '[') {
        refuse("a set within a set");
      } else if (next_is("&&")) {
        refuse("an intersection of sets (&&)");
      } else if (pattern_[at_] == '\\') {
        set_escape();
      } else {
        copy(1);
      }
    }
    if (done()) refuse("an unclosed set");
    copy(1);
  }

  void set_escape() {
    if (at_ + 1 >= pattern_.size()) refuse("a trailing backslash");
    const char c = pattern_[at_ + 1];
    if (c == 's' || c == 'w') {
      out_ += c == 's' ? std::string(kSpace) : word_members();
      at_ += 2;
      return;
    }
    if (c == 'p' || c == 'P') {
      // Among other members a complement cannot lose the newer ones: it keeps PCRE2's meaning.
      const std::size_t begin = at_;
      const std::string newer = newer_members(property_name());
      out_ += pattern_.substr(begin, at_ - begin);
      if (c == 'p') out_ += newer;
      return;
    }
    if (c == 'S' || c == 'W' || c == 'B' || c == 'R') {
      refuse(std::string("\\") + c + " within a set");
    }
    plain_escape(c);
  }

  void group() {
    if (next_is("(*")) refuse("a verb (*");
    if (!next_is("(?")) return copy(1);
    for (const std::string_view open : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?<", "(?#"}) {
      if (next_is(open)) return copy(open.size());
    }
    copy(2);
    while (!done() && pattern_[at_] != ':' && pattern_[at_] != ')') {
      const char c = pattern_[at_];
      if (c != 'i' && c != 'm' && c != 'x' && c != '-') refuse("a group of an unknown kind");
      out_ += c == 'm' ? 's' : c;  // Ruby's m lets the dot match a line feed
      ++at_;
    }
  }

  /// {n}, {n,}, {,m}, {n,m}; a plus behind one is possessive in PCRE2 and a repetition in Ruby.
  void interval() {
    const auto close = pattern_.find('}', at_);
    const std::string_view body =
        close == std::string_view::npos ? "" : pattern_.substr(at_ + 1, close - at_ - 1);
    if (body.empty() || body == "," || body.find_first_not_of("0123456789,") != body.npos) {
      return copy(1);
    }
    out_ += body.front() == ',' ? "{0" : "{";
    out_ += body;
    out_ += '}';
    at_ = close + 1;
    if (!done() && pattern_[at_] == '+') refuse("a plus behind an interval");
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_pattern(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

std::string literal_pattern(std::string_view literal) {
  if (literal.empty()) return "(?!)";  // occurs nowhere, as in the reference
  std::string out;
  for (std::size_t position = 0; position < literal.size();) {
    out += fmt::format("\\x{{{:x}}}", static_cast<unsigned>(next_code_point(literal, position)));
  }
  return out;
}

}  // namespace assay::text
