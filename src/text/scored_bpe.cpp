#include "text/scored_bpe.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/byte_pieces.h"
#include "text/unicode.h"

namespace assay::text {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// The heap's top is the largest.
bool comes_later(const ScoredBpe::Scratch::Candidate& a, const ScoredBpe::Scratch::Candidate& b) {
  return a.score != b.score ? a.score < b.score : a.left > b.left;
}

void split_characters(std::string_view text, std::vector<ScoredBpe::Scratch::Symbol>& symbols) {
  symbols.clear();
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    static_cast<void>(next_code_point(text, end));
    const auto index = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin),
                       index == 0 ? kNone : index - 1, end == text.size() ? kNone : index + 1});
  }
}

}  // namespace

ScoredBpe::ScoredBpe(const Vocabulary& vocabulary, std::vector<float> scores, TokenId unknown)
    : vocabulary_(&vocabulary), scores_(std::move(scores)) {
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const char self = static_cast<char>(byte);
    const auto piece = vocabulary.find(fallback_piece(static_cast<unsigned char>(byte)));
    const auto plain = vocabulary.find(std::string_view(&self, 1));
    byte_ids_[byte] = piece ? *piece : plain.value_or(unknown);
  }
}

void ScoredBpe::push_candidate(std::string_view text, Scratch& scratch, std::uint32_t left,
                               std::uint32_t right) const {
  if (left == kNone || right == kNone) return;
  const auto& first = scratch.symbols[left];
  const std::uint32_t size = first.size + scratch.symbols[right].size;
  if (size > vocabulary_->longest_piece()) return;
  const auto id = vocabulary_->find(text.substr(first.begin, size));
  if (!id) return;
  scratch.heap.push_back({scores_[static_cast<std::size_t>(*id)], left, right, size});
  std::ranges::push_heap(scratch.heap, comes_later);
}

void ScoredBpe::merge_all(std::string_view text, Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  scratch.heap.clear();
  for (std::uint32_t i = 0; i + 1 < symbols.size(); ++i) push_candidate(text, scratch, i, i + 1);
  while (!scratch.heap.empty()) {
    std::ranges::pop_heap(scratch.heap, comes_later);
    const Scratch::Candidate candidate = scratch.heap.back();
    scratch.heap.pop_back();
    auto& left = symbols[candidate.left];
    auto& right = symbols[candidate.right];
    if (left.size == 0 || right.size == 0 || left.size + right.size != candidate.size) continue;
    left.size = candidate.size;
    left.next = right.next;
    right.size = 0;
    if (left.next != kNone) symbols[left.next].previous = candidate.left;
    push_candidate(text, scratch, left.previous, candidate.left);
    push_candidate(text, scratch, candidate.left, left.next);
  }
}

void ScoredBpe::encode(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (text.size() >= kNone) {
    fail(ErrorCode::out_of_memory, "a text of {} bytes is too long", text.size());
  }
  split_characters(text, scratch.symbols);
  merge_all(text, scratch);
  for (const auto& symbol : scratch.symbols) {
    if (symbol.size == 0) continue;
    const std::string_view piece = text.substr(symbol.begin, symbol.size);
    if (const auto id = vocabulary_->find(piece)) {
      ids.push_back(*id);
      continue;
    }
    for (const char byte : piece) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  }
}

}  // namespace assay::text
