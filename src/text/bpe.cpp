#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/error.h"
#include "base/io.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace assay::text {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr TokenId kDead = -1;

struct ByOrder {  // the standard heap keeps the largest on top, this makes it the smallest
  bool operator()(const Bpe::Scratch::Candidate& a, const Bpe::Scratch::Candidate& b) const {
    return a.order > b.order;
  }
};

TokenId find_part(const Vocabulary& vocabulary, const std::string& piece, std::size_t index,
                  std::string_view role, const std::string& where) {
  const auto id = vocabulary.find(piece);
  if (!id) {
    fail(ErrorCode::bad_data, "{}[{}]: the {} '{}' is not in the vocabulary", where, index, role,
         base::printable(piece));
  }
  return *id;
}

void link(std::vector<Bpe::Scratch::Symbol>& symbols) {
  const auto count = static_cast<std::uint32_t>(symbols.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i].previous = i == 0 ? kNone : i - 1;
    symbols[i].next = i + 1 == count ? kNone : i + 1;
  }
}

}  // namespace

void MergeTable::reserve(std::size_t entries) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(16, 2 * entries));
  entries_.assign(slots, Entry{});
  shift_ = 64 - std::countr_zero(slots);
}

std::size_t MergeTable::slot(std::uint64_t pair) const {
  return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> shift_);
}

bool MergeTable::insert(TokenId left, TokenId right, std::uint32_t rank, TokenId merged) {
  const auto pair = (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint32_t>(right);
  for (std::size_t i = slot(pair);; i = (i + 1) & (entries_.size() - 1)) {
    if (entries_[i].pair == pair) return false;
    if (entries_[i].pair == kFree) {
      entries_[i] = {pair, rank, merged};
      return true;
    }
  }
}

const MergeTable::Entry* MergeTable::find(TokenId left, TokenId right) const {
  const auto pair = (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint32_t>(right);
  for (std::size_t i = slot(pair);; i = (i + 1) & (entries_.size() - 1)) {
    if (entries_[i].pair == pair) return &entries_[i];
    if (entries_[i].pair == kFree) return nullptr;
  }
}

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, const BpeOptions& options,
         const std::string& where)
    : byte_level_(options.byte_level),
      fuse_unknown_(options.fuse_unknown),
      drop_before_merging_(options.drop_before_merging) {
  read_alphabet(vocabulary, options);
  merges_.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const TokenId left_id = find_part(vocabulary, left, i, "left part", where);
    const TokenId right_id = find_part(vocabulary, right, i, "right part", where);
    const TokenId merged = find_part(vocabulary, left + right, i, "result", where);
    if (!merges_.insert(left_id, right_id, static_cast<std::uint32_t>(i), merged)) {
      fail(ErrorCode::bad_data, "{}[{}]: the merge of '{}' and '{}' is a duplicate", where, i,
           base::printable(left), base::printable(right));
    }
  }
  if (options.unknown) {
    unknown_ = vocabulary.find(*options.unknown);
    if (!unknown_) {
      fail(ErrorCode::bad_data, "{}: unk_token '{}' is not in the vocabulary", where,
           base::printable(*options.unknown));
    }
  }
}

void Bpe::read_alphabet(const Vocabulary& vocabulary, const BpeOptions& options) {
  byte_ids_.fill(kDead);
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    if (byte_level_) {
      byte_ids_[byte] = vocabulary.find(bytes_to_piece({&one, 1})).value_or(kDead);
    } else if (options.byte_fallback) {
      byte_ids_[byte] =
          vocabulary.find(fallback_piece(static_cast<unsigned char>(byte))).value_or(kDead);
    }
  }
  if (byte_level_ && !options.ignore_merges) return;
  if (options.ignore_merges) whole_.reserve(vocabulary.size());
  for (std::size_t index = 0; index < vocabulary.size(); ++index) {
    const auto id = static_cast<TokenId>(index);
    const std::string* piece = vocabulary.piece(id);
    if (piece == nullptr || piece->empty()) continue;
    if (!byte_level_) {
      const auto first = base::decode_utf8(*piece);
      if (static_cast<std::size_t>(first.length) == piece->size()) {
        characters_.emplace(first.code, id);
      }
    }
    if (!options.ignore_merges) continue;
    if (!byte_level_) {
      whole_.emplace(*piece, id);
    } else if (auto bytes = piece_to_bytes(*piece)) {
      whole_.emplace(std::move(*bytes), id);
    }
  }
}

void Bpe::encode(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (text.size() >= kNone) {
    fail(ErrorCode::out_of_memory, "a piece of text of {} bytes is too long", text.size());
  }
  if (!whole_.empty()) {
    if (const auto found = whole_.find(std::string(text)); found != whole_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  scratch.symbols.clear();
  if (byte_level_) {
    split_bytes(text, scratch.symbols);
  } else {
    split_characters(text, scratch.symbols);
  }
  link(scratch.symbols);
  merge_all(scratch);
  for (const auto& symbol : scratch.symbols) {
    if (symbol.id != kDead) ids.push_back(symbol.id);
  }
}

void Bpe::split_bytes(std::string_view bytes, std::vector<Scratch::Symbol>& symbols) const {
  bool after_unknown = false;
  for (const char byte : bytes) {
    const TokenId id = byte_ids_[static_cast<unsigned char>(byte)];
    const bool is_unknown = id == kDead;
    if (is_unknown && !unknown_ && drop_before_merging_) continue;
    if (is_unknown && unknown_ && after_unknown && fuse_unknown_) continue;
    symbols.push_back({is_unknown ? unknown_.value_or(kDead) : id, 0, 0});
    after_unknown = is_unknown;
  }
}

void Bpe::split_characters(std::string_view text, std::vector<Scratch::Symbol>& symbols) const {
  // An unknown token waits until a known character or the end, also across bytes that stand in for
  // a character: so does the reference.
  bool waiting = false;
  const auto flush = [&] {
    if (waiting) symbols.push_back({*unknown_, 0, 0});
    waiting = false;
  };
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t begin = position;
    const auto found = characters_.find(next_code_point(text, position));
    if (found != characters_.end()) {
      flush();
      symbols.push_back({found->second, 0, 0});
      continue;
    }
    if (fall_back(text.substr(begin, position - begin), symbols)) continue;
    if (!unknown_) continue;
    if (!fuse_unknown_) flush();
    waiting = true;
  }
  flush();
}

/// Appends the bytes of a character; false, and nothing appended, if one of them has no piece.
bool Bpe::fall_back(std::string_view character, std::vector<Scratch::Symbol>& symbols) const {
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (std::ranges::any_of(character, [&](char byte) { return id_of(byte) == kDead; })) return false;
  for (const char byte : character) symbols.push_back({id_of(byte), 0, 0});
  return true;
}

void Bpe::push_candidate(Scratch& scratch, std::uint32_t left, std::uint32_t right) const {
  const TokenId left_id = scratch.symbols[left].id;
  const TokenId right_id = scratch.symbols[right].id;
  if (left_id == kDead || right_id == kDead) return;
  const auto* merge = merges_.find(left_id, right_id);
  if (merge == nullptr) return;
  const std::uint64_t order = (static_cast<std::uint64_t>(merge->rank) << 32) | left;
  scratch.heap.push_back({order, left_id, right_id});
}

void Bpe::merge_all(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  heap.clear();
  for (std::uint32_t i = 0; i + 1 < symbols.size(); ++i) push_candidate(scratch, i, i + 1);
  std::ranges::make_heap(heap, ByOrder{});
  const auto push = [&](std::uint32_t left, std::uint32_t right) {
    const std::size_t before = heap.size();
    push_candidate(scratch, left, right);
    if (heap.size() != before) std::ranges::push_heap(heap, ByOrder{});
  };
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, ByOrder{});
    const Scratch::Candidate candidate = heap.back();
    heap.pop_back();
    const auto left = static_cast<std::uint32_t>(candidate.order);
    const std::uint32_t right = symbols[left].next;
    // Outdated when either side has been merged since.
    if (symbols[left].id != candidate.left || right == kNone) continue;
    if (symbols[right].id != candidate.right) continue;
    symbols[left].id = merges_.find(candidate.left, candidate.right)->merged;
    symbols[left].next = symbols[right].next;
    symbols[right].id = kDead;
    if (symbols[left].next != kNone) {
      symbols[symbols[left].next].previous = left;
      push(left, symbols[left].next);
    }
    if (symbols[left].previous != kNone) push(symbols[left].previous, left);
  }
}

}  // namespace assay::text
