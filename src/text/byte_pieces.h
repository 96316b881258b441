#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assay::text {

/// Bytes and the printable characters that stand for them in byte-level vocabularies (GPT-2's
/// table: "Ġ" is a space). The text of bytes, and back; nullopt if a character stands for none.
[[nodiscard]] std::string bytes_to_piece(std::string_view bytes);
[[nodiscard]] std::optional<std::string> piece_to_bytes(std::string_view piece);

/// Bytes of characters without a piece in SentencePiece's vocabularies: "<0x0A>" is a line feed.
[[nodiscard]] std::string fallback_piece(unsigned char byte);
/// The byte that a piece stands for; nullopt if it is no such piece.
[[nodiscard]] std::optional<char> fallback_byte(std::string_view piece);

}  // namespace assay::text
