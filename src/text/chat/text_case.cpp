#include <utf8proc.h>

#include "text/chat/python_text.h"
#include "text/unicode.h"

namespace assay::text::chat {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_cased(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LU ||
         kind == UTF8PROC_CATEGORY_LT;
}

/// Skipped where the neighbours of a sigma are looked at.
bool is_case_ignorable(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME ||
         kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM ||
         kind == UTF8PROC_CATEGORY_SK ||
         std::u32string_view(U"'.:\u00B7\u2018\u2019\u2024\u2027").find(c) !=
             std::u32string_view::npos;
}

/// A capital sigma that ends a word becomes the final form.
bool is_final_sigma(std::u32string_view text, std::size_t at) {
  std::size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t behind = at + 1;
  while (behind < text.size() && is_case_ignorable(text[behind])) ++behind;
  return behind == text.size() || !is_cased(text[behind]);
}

void lower(std::u32string_view text, std::size_t at, std::u32string& out) {
  if (text[at] == 0x03A3) {
    out.push_back(is_final_sigma(text, at) ? 0x03C2 : 0x03C3);
  } else {
    append_lower(out, text[at]);
  }
}

/// The several characters that the upper case of `c` is ("ß" is "SS"); empty where it is one. They
/// are the upper case of those that case folding gives.
std::u32string several_upper(char32_t c) {
  std::u32string upper;
  if (category(c) == UTF8PROC_CATEGORY_LU) return upper;
  constexpr std::size_t kLongest = 4;
  utf8proc_int32_t folded[kLongest];
  const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded,
                                                         kLongest, UTF8PROC_CASEFOLD, nullptr);
  for (utf8proc_ssize_t i = 0; count > 1 && i < count; ++i) {
    upper.push_back(static_cast<char32_t>(utf8proc_toupper(folded[i])));
  }
  return upper;
}

void upper(char32_t c, std::u32string& out) {
  const std::u32string several = several_upper(c);
  if (several.empty()) {
    out.push_back(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
  out += several;
}

/// Title case of one character: that of a ligature is its first letter's.
void title(char32_t c, std::u32string& out) {
  const auto simple = static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
  const std::u32string several = simple == c ? several_upper(c) : std::u32string();
  if (several.empty()) {
    out.push_back(simple);
    return;
  }
  out.push_back(several[0]);
  for (const char32_t rest : several.substr(1)) append_lower(out, rest);
}

bool starts_word(std::u32string_view text, std::size_t at) {
  if (at == 0) return true;
  const char32_t before = text[at - 1];
  return is_python_space(before) ||
         std::u32string_view(U"-({[<").find(before) != std::u32string_view::npos;
}

}  // namespace

std::string change_case(std::string_view utf8, Case to) {
  const std::u32string text = to_utf32(utf8);
  std::u32string out;
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool first = to == Case::title_words ? starts_word(text, i) : i == 0;
    if (to == Case::upper || (to == Case::title_words && first)) {
      upper(text[i], out);
    } else if ((to == Case::capitalize && first) || (to == Case::title && !in_word)) {
      title(text[i], out);
    } else {
      lower(text, i, out);
    }
    in_word = is_cased(text[i]);
  }
  return to_utf8(out);
}

bool has_property(std::string_view text, Property property) {
  bool some_cased = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    const auto kind = category(c);
    const bool letter = kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
    const bool digit = kind == UTF8PROC_CATEGORY_ND;
    bool good = true;
    switch (property) {
      case Property::alpha:
        good = letter;
        break;
      case Property::digit:
        good = digit;
        break;
      case Property::alphanumeric:
        good = letter || is_numeric(c);
        break;
      case Property::space:
        good = is_python_space(c);
        break;
      case Property::lower:
        good = !is_cased(c) || is_lower(c);
        break;
      case Property::upper:
        good = !is_cased(c) || kind == UTF8PROC_CATEGORY_LU;
        break;
    }
    if (!good) return false;
    some_cased |= is_cased(c);
  }
  const bool cases = property == Property::lower || property == Property::upper;
  return cases ? some_cased : !text.empty();
}

}  // namespace assay::text::chat
