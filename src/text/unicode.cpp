#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>

namespace assay::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned byte_at(std::string_view text, std::size_t position) {
  return static_cast<unsigned char>(text[position]);
}

/// Length of the well-formed sequence at `position`, or minus the length of the maximal ill-formed
/// part there (Unicode 15, table 3-7).
int sequence_length(std::string_view text, std::size_t position) {
  const unsigned lead = byte_at(text, position);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (int i = 1; i < length; ++i) {
    if (position + i >= text.size()) return -i;
    const unsigned next = byte_at(text, position + i);
    if (next < low || next > high) return -i;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

std::size_t first_invalid(std::string_view text) {
  std::size_t position = 0;
  while (position < text.size()) {
    const int length = sequence_length(text, position);
    if (length < 0) break;
    position += static_cast<std::size_t>(length);
  }
  return position;
}

int combining_class(char32_t code_point) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point))->combining_class;
}

/// Canonical ordering: a stable sort of every run of marks. utf8proc sorts by exchanging
/// neighbours, which takes quadratic time on long runs.
void order_marks(std::span<char32_t> text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    if (combining_class(text[begin]) == 0) {
      ++begin;
      continue;
    }
    std::size_t end = begin + 1;
    while (end < text.size() && combining_class(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + begin, text.begin() + end, [](char32_t a, char32_t b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
}

std::u32string decompose(std::u32string_view text, bool compatible) {
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  std::u32string out;
  out.reserve(text.size() + text.size() / 8);
  std::array<utf8proc_int32_t, 32> parts{};
  for (const char32_t c : text) {
    int boundary = 0;
    const auto count = c < 0x80
                           ? -1
                           : utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                                                     parts.size(), options, &boundary);
    if (count <= 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
      out.push_back(c);
      continue;
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) out.push_back(static_cast<char32_t>(parts[i]));
  }
  order_marks(out);
  return out;
}

struct CodeRange {
  char32_t first;
  char32_t last;
};

/// Ranges in which all marks and all characters with a decomposition are newer than Unicode 9.0.
constexpr CodeRange kNewer[] = {
    {0x07FD, 0x07FD},   {0x0898, 0x08D3},   {0x09FE, 0x09FE},   {0x0AFA, 0x0AFF},
    {0x0B55, 0x0B55},   {0x0C04, 0x0C3C},   {0x0CF3, 0x0D00},   {0x0D3B, 0x0D3C},
    {0x0D81, 0x0D81},   {0x0EBA, 0x0EBA},   {0x0ECE, 0x0ECE},   {0x1715, 0x1715},
    {0x180F, 0x180F},   {0x1ABF, 0x1ACE},   {0x1CF7, 0x1CF7},   {0x1DF6, 0x1DFA},
    {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xA82C, 0xA82C},   {0xA8FF, 0xA8FF},
    {0xAB69, 0xAB69},   {0x10781, 0x107BA}, {0x10D24, 0x10F85}, {0x11070, 0x11074},
    {0x110C2, 0x110C2}, {0x11145, 0x11146}, {0x111C9, 0x111C9}, {0x111CE, 0x111CF},
    {0x11241, 0x11241}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x1182C, 0x11A99},
    {0x11D31, 0x13455}, {0x16F4F, 0x16F4F}, {0x16F7F, 0x16F87}, {0x16FE4, 0x16FF1},
    {0x1CF00, 0x1CF46}, {0x1E030, 0x1E4EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};

bool is_newer(char32_t c) {
  const auto* range = std::ranges::lower_bound(kNewer, c, {}, &CodeRange::last);
  return range != std::end(kNewer) && c >= range->first;
}

/// Nothing moves across it and nothing joins it: unassigned characters, and the one before the
/// first trailing consonant of Hangul, which utf8proc takes for the syllable's missing consonant
/// and drops.
bool stands_apart(char32_t c) { return c == 0x11A7 || is_newer(c); }

/// Of characters that the tables know.
std::u32string normalize_known(std::u32string_view text, UnicodeForm form) {
  const bool compatible = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
  std::u32string out = decompose(text, compatible);
  if (form == UnicodeForm::nfd || form == UnicodeForm::nfkd) return out;
  std::vector<utf8proc_int32_t> buffer(out.begin(), out.end());
  const auto length =
      utf8proc_normalize_utf32(buffer.data(), static_cast<utf8proc_ssize_t>(buffer.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length >= 0) out.assign(buffer.begin(), buffer.begin() + length);
  return out;
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position) {
  const unsigned lead = byte_at(text, position++);
  if (lead < 0x80) return lead;
  const int more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  char32_t code_point = lead & (0x3Fu >> more);
  for (int i = 0; i < more; ++i) {
    code_point = (code_point << 6) | (byte_at(text, position++) & 0x3F);
  }
  return code_point;
}

char32_t previous_code_point(std::string_view text, std::size_t& position) {
  do {
    --position;
  } while (position > 0 && (byte_at(text, position) & 0xC0) == 0x80);
  std::size_t forward = position;
  return next_code_point(text, forward);
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
    return;
  }
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
  for (utf8proc_ssize_t i = 0; i < length; ++i) out.push_back(static_cast<char>(bytes[i]));
}

std::string_view valid_utf8(std::string_view text, std::string& storage) {
  std::size_t position = first_invalid(text);
  if (position == text.size()) return text;
  storage.assign(text.substr(0, position));
  while (position < text.size()) {
    const int length = sequence_length(text, position);
    if (length > 0) {
      storage.append(text.substr(position, static_cast<std::size_t>(length)));
    } else {
      storage.append(kReplacement);
    }
    position += static_cast<std::size_t>(length > 0 ? length : -length);
  }
  return storage;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= U'0' && c <= U'9';
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
         category == UTF8PROC_CATEGORY_NO;
}

bool is_mark(char32_t c) {
  if (c == 0x1CF2 || c == 0x1CF3) return true;  // marks until Unicode 12.0
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  const bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                    category == UTF8PROC_CATEGORY_ME;
  return mark && !is_newer(c);
}

bool is_word(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
             (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
             (c >= 0x1F170 && c <= 0x1F189);
  }
}

void append_lower(std::u32string& out, char32_t c) {
  if (c == 0x130) {  // the one code point whose lower case is two
    out += U"i\u0307";
    return;
  }
  out.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

char32_t to_title(char32_t c) {
  return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
}

std::u32string normalize_form(std::u32string_view text, UnicodeForm form) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto apart = std::ranges::find_if(text, stands_apart);
    const auto known = static_cast<std::size_t>(apart - text.begin());
    out += normalize_known(text.substr(0, known), form);
    if (known < text.size()) out.push_back(text[known]);
    text.remove_prefix(std::min(text.size(), known + 1));
  }
  return out;
}

std::u32string to_utf32(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    out.push_back(next_code_point(text, position));
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

}  // namespace assay::text
