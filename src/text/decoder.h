#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/replacement.h"

namespace assay::text {

/// A surface form on its way to text.
struct DecodedPiece {
  std::string text;
  bool added = false;  ///< the content of an added token
};

// Steps by which surface forms become text again; names as in tokenizer.json.

struct WordPieceDecoder {
  std::string prefix = "##";
  bool cleanup = true;
};
struct ByteLevelDecoder {
  bool added_as_is = false;  ///< added tokens are text, not bytes in disguise (GGUF)
};
struct SpaceDecoder {};         ///< pieces joined by spaces: a file without a decoder
struct ByteFallbackDecoder {};  ///< <0xNN> becomes its byte
struct FuseDecoder {};          ///< all pieces become one
/// Takes up to `start` and `stop` characters off the ends of each piece.
struct StripDecoder {
  std::string character = " ";
  std::size_t start = 0;
  std::size_t stop = 0;
};
/// The replacement becomes a space, or nothing in the first piece where one was put before it.
struct MetaspaceDecoder {
  std::string replacement;
  bool prepended = true;
};

using DecoderStep = std::variant<SpaceDecoder, WordPieceDecoder, ByteLevelDecoder, Replacement,
                                 ByteFallbackDecoder, FuseDecoder, StripDecoder, MetaspaceDecoder>;

/// Steps applied in turn; what they leave is joined.
using Decoder = std::vector<DecoderStep>;

/// Bytes that are no UTF-8 stay as they are.
[[nodiscard]] std::string decode_pieces(const Decoder& decoder, std::vector<DecodedPiece> pieces);

}  // namespace assay::text
