#include "text/unigram.h"

#include <limits>

#include "base/error.h"
#include "text/byte_pieces.h"
#include "text/unicode.h"

namespace assay::text {
namespace {

constexpr double kUnknownPenalty = 10.0;  // as in SentencePiece
/// Time is proportional to the text's length times the longest piece's.
constexpr std::size_t kLongestPiece = 4096;

}  // namespace

Unigram::Unigram(const Vocabulary& vocabulary, std::vector<double> scores,
                 const UnigramOptions& options, const std::string& where)
    : vocabulary_(&vocabulary),
      trie_(vocabulary),
      scores_(std::move(scores)),
      unknown_(options.unknown),
      byte_fallback_(options.byte_fallback) {
  if (vocabulary.piece(unknown_) == nullptr) {
    fail(ErrorCode::bad_data, "{}: the unknown token's id {} is not in the vocabulary of {}", where,
         unknown_, vocabulary.size());
  }
  if (vocabulary.longest_piece() > kLongestPiece) {
    fail(ErrorCode::bad_data, "{}: a piece of {} bytes is longer than {}", where,
         vocabulary.longest_piece(), kLongestPiece);
  }
  unknown_score_ = std::ranges::min(scores_) - kUnknownPenalty;
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] =
        vocabulary.find(fallback_piece(static_cast<unsigned char>(byte))).value_or(-1);
  }
}

void Unigram::find_paths(std::string_view text, std::vector<Scratch::Node>& nodes) const {
  nodes.assign(text.size() + 1, {});
  const auto offer = [&](std::size_t begin, std::size_t end, TokenId id, double score) {
    Scratch::Node& node = nodes[end];
    const double whole = nodes[begin].score + score;
    // Of equal paths the first stays.
    if (node.id >= 0 && whole <= node.score) return;
    node = {whole, id, static_cast<std::uint32_t>(begin)};
  };
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t next = begin;
    static_cast<void>(next_code_point(text, next));
    bool has_single = false;
    trie_.each_prefix(text.substr(begin), [&](std::size_t length, TokenId id) {
      offer(begin, begin + length, id, scores_[static_cast<std::size_t>(id)]);
      has_single = has_single || begin + length == next;
    });
    if (!has_single) offer(begin, next, unknown_, unknown_score_);
    begin = next;
  }
}

void Unigram::add_unknown(std::string_view part, std::vector<TokenId>& backward) const {
  // Together, unknown characters may read as a piece; the reference looks them up again.
  if (const auto id = vocabulary_->find(part)) {
    backward.push_back(*id);
    return;
  }
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (byte_fallback_ && std::ranges::all_of(part, [&](char byte) { return id_of(byte) >= 0; })) {
    for (auto byte = part.rbegin(); byte != part.rend(); ++byte) backward.push_back(id_of(*byte));
    return;
  }
  backward.push_back(unknown_);
}

void Unigram::encode(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (text.size() >= std::numeric_limits<std::uint32_t>::max()) {
    fail(ErrorCode::out_of_memory, "a piece of text of {} bytes is too long", text.size());
  }
  find_paths(text, scratch.nodes);
  auto& backward = scratch.backward;
  backward.clear();
  for (std::size_t end = text.size(); end > 0;) {
    std::size_t begin = scratch.nodes[end].begin;
    if (scratch.nodes[end].id != unknown_) {
      backward.push_back(scratch.nodes[end].id);
    } else {
      while (begin > 0 && scratch.nodes[begin].id == unknown_) begin = scratch.nodes[begin].begin;
      add_unknown(text.substr(begin, end - begin), backward);
    }
    end = begin;
  }
  ids.insert(ids.end(), backward.rbegin(), backward.rend());
}

}  // namespace assay::text
