#include "text/character_map.h"

#include <utf8proc.h>

#include <cstring>

#include "base/error.h"
#include "text/unicode.h"

namespace assay::text {
namespace {

// A unit of the double array (Darts-clone): a label that leads to it, the offset of its children,
// and whether a value stands among these.
bool has_value(std::uint32_t unit) { return ((unit >> 8) & 1) != 0; }
std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFF; }
std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FF; }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

constexpr std::size_t kLongestGrapheme = 5;

/// `c`, or a mark that utf8proc 2.8 knows in place of one that the reference knows besides: it
/// joins the grapheme before it. Only marks of three bytes can matter, behind a letter of two.
utf8proc_int32_t known_mark(char32_t c) {
  const bool newer = c == 0x897 || (c >= 0x1ACF && c <= 0x1ADD) || (c >= 0x1AE0 && c <= 0x1AEB);
  return static_cast<utf8proc_int32_t>(newer ? U'\u0300' : c);
}

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes, const std::string& where) {
  std::uint32_t size = 0;
  if (bytes.size() >= sizeof(size)) std::memcpy(&size, bytes.data(), sizeof(size));
  if (size == 0 || size % 4 != 0 || size > bytes.size() - sizeof(size)) {
    fail(ErrorCode::bad_data, "{}: the trie of {} bytes does not fit the map of {}", where, size,
         bytes.size());
  }
  units_.resize(size / 4);
  std::memcpy(units_.data(), bytes.data() + sizeof(size), size);
  replacements_ = bytes.substr(sizeof(size) + size);
  std::string storage;
  if (valid_utf8(replacements_, storage).data() != replacements_.data()) {
    fail(ErrorCode::bad_data, "{}: the replacements are no UTF-8", where);
  }
}

std::optional<std::string_view> CharacterMap::find(std::string_view text) const {
  std::size_t node = offset(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label(units_[node]) != byte) return std::nullopt;
    const std::uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!has_value(unit)) continue;
    const std::size_t begin = node < units_.size() ? value(units_[node]) : replacements_.size();
    // A damaged map must not cut a character.
    if (begin >= replacements_.size() || (replacements_[begin] & 0xC0) == 0x80) return std::nullopt;
    return std::string_view(replacements_.c_str() + begin);
  }
  return std::nullopt;
}

void CharacterMap::append_grapheme(std::string_view grapheme, std::string& out) const {
  if (grapheme.size() <= kLongestGrapheme) {
    if (const auto replacement = find(grapheme)) {
      out += *replacement;
      return;
    }
  }
  for (std::size_t begin = 0, end = 0; begin < grapheme.size(); begin = end) {
    static_cast<void>(next_code_point(grapheme, end));
    const std::string_view character = grapheme.substr(begin, end - begin);
    out += find(character).value_or(character);
  }
}

std::string CharacterMap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  std::size_t begin = 0;
  std::size_t end = 0;
  utf8proc_int32_t state = 0;
  utf8proc_int32_t previous = 0;
  while (end < text.size()) {
    const std::size_t here = end;
    const auto c = known_mark(next_code_point(text, end));
    if (here > 0 && utf8proc_grapheme_break_stateful(previous, c, &state)) {
      append_grapheme(text.substr(begin, here - begin), out);
      begin = here;
    }
    previous = c;
  }
  append_grapheme(text.substr(begin), out);
  return out;
}

}  // namespace assay::text
