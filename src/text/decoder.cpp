#include "text/decoder.h"

#include <optional>

#include "text/byte_pieces.h"
#include "text/growth.h"

namespace assay::text {
namespace {

using PieceList = std::vector<DecodedPiece>;

/// English typography, in the reference's order; each token is cleaned by itself.
void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [from, to] : kRules) {
    text = replace({std::string(from), nullptr, std::string(to)}, text);
  }
}

void fuse(PieceList& pieces) {
  if (pieces.size() < 2) return;
  for (std::size_t i = 1; i < pieces.size(); ++i) pieces[0].text += pieces[i].text;
  pieces.resize(1);
}

void apply(const SpaceDecoder& /*step*/, PieceList& pieces) {
  for (std::size_t i = 1; i < pieces.size(); ++i) pieces[i].text.insert(0, 1, ' ');
}

void apply(const WordPieceDecoder& step, PieceList& pieces) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::string& text = pieces[i].text;
    if (i != 0 && text.starts_with(step.prefix)) {
      text.erase(0, step.prefix.size());
    } else if (i != 0) {
      text.insert(0, 1, ' ');
    }
    if (step.cleanup) clean_up(text);
  }
}

void apply(const ByteLevelDecoder& step, PieceList& pieces) {
  for (DecodedPiece& piece : pieces) {
    if (piece.added && step.added_as_is) continue;
    if (auto bytes = piece_to_bytes(piece.text)) piece.text = std::move(*bytes);
  }
  fuse(pieces);
}

void apply(const Replacement& step, PieceList& pieces) {
  for (DecodedPiece& piece : pieces) piece.text = replace(step, piece.text);
}

void apply(const ByteFallbackDecoder& /*step*/, PieceList& pieces) {
  for (DecodedPiece& piece : pieces) {
    if (const auto byte = fallback_byte(piece.text)) piece.text.assign(1, *byte);
  }
}

void apply(const FuseDecoder& /*step*/, PieceList& pieces) { fuse(pieces); }

void apply(const StripDecoder& step, PieceList& pieces) {
  const std::size_t width = step.character.size();
  for (DecodedPiece& piece : pieces) {
    std::string_view rest = piece.text;
    for (std::size_t i = 0; i < step.start && rest.starts_with(step.character); ++i) {
      rest.remove_prefix(width);
    }
    for (std::size_t i = 0; i < step.stop && rest.ends_with(step.character); ++i) {
      rest.remove_suffix(width);
    }
    if (rest.size() != piece.text.size()) piece.text = std::string(rest);
  }
}

void apply(const MetaspaceDecoder& step, PieceList& pieces) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool dropped = i == 0 && step.prepended;
    pieces[i].text = replace({step.replacement, nullptr, dropped ? "" : " "}, pieces[i].text);
  }
}

std::size_t bytes_of(const PieceList& pieces) {
  std::size_t bytes = 0;
  for (const DecodedPiece& piece : pieces) bytes += piece.text.size();
  return bytes;
}

}  // namespace

std::string decode_pieces(const Decoder& decoder, std::vector<DecodedPiece> pieces) {
  const std::size_t before = bytes_of(pieces);
  for (const DecoderStep& step : decoder) {
    std::visit([&](const auto& s) { apply(s, pieces); }, step);
    check_growth(before, bytes_of(pieces));
  }
  std::string out;
  for (const DecodedPiece& piece : pieces) out += piece.text;
  return out;
}

}  // namespace assay::text
