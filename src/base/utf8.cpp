#include "base/utf8.h"

#include <cstddef>

namespace assay::base {

namespace {

struct Lead {
  int length;
  char32_t bits;
  char32_t smallest;  // a smaller value in this many bytes would be overlong
};

Lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, byte, 0};
  if (byte >= 0xc2 && byte < 0xe0) return {2, byte & 0x1fU, 0x80};
  if (byte >= 0xe0 && byte < 0xf0) return {3, byte & 0x0fU, 0x800};
  if (byte >= 0xf0 && byte < 0xf5) return {4, byte & 0x07U, 0x10000};
  return {0, 0, 0};
}

}  // namespace

Utf8Char decode_utf8(std::string_view text) noexcept {
  if (text.empty()) return {};
  const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.length == 0 || text.size() < static_cast<std::size_t>(lead.length)) return {};
  char32_t code = lead.bits;
  for (int i = 1; i < lead.length; ++i) {
    const auto byte = static_cast<unsigned char>(text[static_cast<std::size_t>(i)]);
    if ((byte & 0xc0U) != 0x80U) return {};
    code = (code << 6) | (byte & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (code < lead.smallest || code > 0x10ffff || surrogate) return {};
  return {code, lead.length};
}

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const int length = decode_utf8(text.substr(i)).length;
    if (length == 0) return false;
    i += static_cast<std::size_t>(length);
  }
  return true;
}

}  // namespace assay::base
