#include "text/byte_pieces.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "text/unicode.h"

namespace assay::text {
namespace {

constexpr bool is_printable_byte(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// Printable Latin-1 bytes stand for themselves, the others for U+0100 and up, in order.
constexpr std::array<char32_t, 256> kByteToCharacter = [] {
  std::array<char32_t, 256> table{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    table[byte] = is_printable_byte(byte) ? byte : next++;
  }
  return table;
}();

constexpr std::array<std::int16_t, 0x144> kCharacterToByte = [] {
  std::array<std::int16_t, 0x144> table{};
  table.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte) {
    table[kByteToCharacter[byte]] = static_cast<std::int16_t>(byte);
  }
  return table;
}();

}  // namespace

std::string bytes_to_piece(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) {
    append_utf8(out, kByteToCharacter[static_cast<unsigned char>(byte)]);
  }
  return out;
}

std::optional<std::string> piece_to_bytes(std::string_view piece) {
  std::string storage;
  if (valid_utf8(piece, storage).data() != piece.data()) return std::nullopt;
  std::string out;
  out.reserve(piece.size());
  for (std::size_t position = 0; position < piece.size();) {
    const char32_t c = next_code_point(piece, position);
    if (c >= kCharacterToByte.size() || kCharacterToByte[c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kCharacterToByte[c]));
  }
  return out;
}

std::string fallback_piece(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<char> fallback_byte(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
  if (error != std::errc() || end != piece.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace assay::text
