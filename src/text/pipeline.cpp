#include "text/pipeline.h"

#include <algorithm>

#include "base/error.h"

namespace assay::text {
namespace {

class Pipeline final : public Tokenizer {
 public:
  explicit Pipeline(TokenizerParts parts) : parts_(std::move(parts)) {
    bos_ = parts_.bos;
    eos_ = parts_.eos;
    pad_ = parts_.pad;
    warnings_ = parts_.warnings;
    size_ = parts_.vocabulary->size();
    for (const AddedToken& token : parts_.added.tokens()) {
      size_ = std::max(size_, static_cast<std::size_t>(token.id) + 1);
    }
  }

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options) const override {
    std::string storage;
    text = valid_utf8(text, storage);
    std::vector<TokenId> ids;
    Scratch scratch;
    for (const Segment& raw : parts_.added.split(text, false, options.parse_special)) {
      if (raw.id) {
        ids.push_back(*raw.id);
        continue;
      }
      const std::string normal = normalize(parts_.normalizer, raw.range.of(text));
      for (const Segment& part : parts_.added.split(normal, true, options.parse_special)) {
        if (part.id) {
          ids.push_back(*part.id);
        } else {
          const bool at_start = raw.range.begin == 0 && part.range.begin == 0;
          encode_text(Pieces(std::string(part.range.of(normal)), at_start), scratch, ids);
        }
      }
    }
    return finish(std::move(ids), options);
  }

  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::vector<DecodedPiece> pieces;
    pieces.reserve(ids.size());
    for (const TokenId id : ids) {
      const AddedToken* added = parts_.added.find(id);
      if (added != nullptr && added->special && skip_special) continue;
      const std::string* piece = added != nullptr ? &added->content : parts_.vocabulary->piece(id);
      if (piece != nullptr) pieces.push_back({*piece, added != nullptr});
    }
    return decode_pieces(parts_.decoder, std::move(pieces));
  }

  [[nodiscard]] std::string token(TokenId id) const override {
    if (id < 0 || static_cast<std::size_t>(id) >= size_) {
      fail(ErrorCode::usage, "token id {} is not in the vocabulary of {}", id, size_);
    }
    if (const AddedToken* added = parts_.added.find(id)) return added->content;
    const std::string* piece = parts_.vocabulary->piece(id);
    return piece == nullptr ? std::string() : *piece;
  }

  [[nodiscard]] std::size_t vocabulary_size() const override { return size_; }

  [[nodiscard]] std::optional<TokenId> id_of(std::string_view token) const override {
    if (const AddedToken* added = parts_.added.find(token)) return added->id;
    return parts_.vocabulary->find(token);
  }

 private:
  /// What the models reuse from piece to piece.
  struct Scratch {
    Bpe::Scratch bpe;
    Unigram::Scratch unigram;
    ScoredBpe::Scratch scored_bpe;
  };

  void encode_text(Pieces pieces, Scratch& scratch, std::vector<TokenId>& ids) const {
    pre_tokenize(parts_.pre_tokenizer, pieces);
    const auto each = [&](const auto& encode) {
      for (const Range& range : pieces.ranges) encode(range.of(pieces.text));
    };
    if (const auto* bpe = std::get_if<Bpe>(&parts_.model)) {
      each([&](std::string_view piece) { bpe->encode(piece, scratch.bpe, ids); });
    } else if (const auto* unigram = std::get_if<Unigram>(&parts_.model)) {
      each([&](std::string_view piece) { unigram->encode(piece, scratch.unigram, ids); });
    } else if (const auto* scored = std::get_if<ScoredBpe>(&parts_.model)) {
      each([&](std::string_view piece) { scored->encode(piece, scratch.scored_bpe, ids); });
    } else {
      const auto& wordpiece = std::get<WordPiece>(parts_.model);
      each([&](std::string_view piece) { wordpiece.encode(piece, ids); });
    }
  }

  [[nodiscard]] std::vector<TokenId> finish(std::vector<TokenId> ids,
                                            const EncodeOptions& options) const {
    const std::size_t special =
        options.add_special ? parts_.prefix.size() + parts_.suffix.size() : 0;
    const auto& truncation = parts_.lengths.truncation;
    const auto& padding = parts_.lengths.padding;
    if (options.file_lengths && truncation) {
      truncate(ids, *truncation, special);
    }
    const std::size_t most = options.max_length == 0 ? ids.max_size() : options.max_length;
    truncate(ids, most > special ? most - special : 0, Side::right);
    if (options.add_special) {
      ids.insert(ids.begin(), parts_.prefix.begin(), parts_.prefix.end());
      ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
      truncate(ids, most, Side::right);
    }
    if (options.file_lengths && padding) add_padding(ids, *padding);
    return ids;
  }

  TokenizerParts parts_;
  std::size_t size_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(TokenizerParts parts) {
  if (!parts.vocabulary || std::holds_alternative<std::monostate>(parts.model)) {
    fail(ErrorCode::internal, "a tokenizer was made without a model");
  }
  return std::make_unique<Pipeline>(std::move(parts));
}

}  // namespace assay::text
