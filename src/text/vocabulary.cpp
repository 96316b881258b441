#include "text/vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "base/io.h"

namespace assay::text {

TokenId checked_id(std::int64_t id, std::size_t entries, const std::string& where) {
  const std::size_t limit = 2 * entries + 1024;
  if (id < 0 || static_cast<std::uint64_t>(id) >= std::min<std::size_t>(limit, 1u << 30)) {
    fail(ErrorCode::bad_data, "{}: id {} is out of range for {} entries", where, id, entries);
  }
  return static_cast<TokenId>(id);
}

Vocabulary::Vocabulary(std::vector<VocabularyEntry> entries, const std::string& where) {
  if (entries.empty()) fail(ErrorCode::bad_data, "{}: the vocabulary is empty", where);
  TokenId highest = 0;
  for (const auto& entry : entries) {
    highest = std::max(highest, checked_id(entry.id, entries.size(), where));
  }
  pieces_.resize(static_cast<std::size_t>(highest) + 1);
  present_.resize(pieces_.size());
  ids_.reserve(entries.size());
  for (auto& entry : entries) {
    const auto id = static_cast<std::size_t>(entry.id);
    if (present_[id]) {
      fail(ErrorCode::bad_data, "{}: id {} belongs to both '{}' and '{}'", where, id,
           base::printable(pieces_[id]), base::printable(entry.piece));
    }
    present_[id] = true;
    pieces_[id] = std::move(entry.piece);
    longest_ = std::max(longest_, pieces_[id].size());
    if (pieces_[id].empty()) continue;
    const auto [found, is_new] = ids_.emplace(pieces_[id], entry.id);
    if (!is_new) {
      fail(ErrorCode::bad_data, "{}: the piece '{}' is a duplicate, with ids {} and {}", where,
           base::printable(pieces_[id]), found->second, id);
    }
  }
}

std::optional<TokenId> Vocabulary::find(std::string_view piece) const {
  const auto found = ids_.find(piece);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* Vocabulary::piece(TokenId id) const {
  const auto index = static_cast<std::size_t>(id);
  if (id < 0 || index >= pieces_.size() || !present_[index]) return nullptr;
  return &pieces_[index];
}

}  // namespace assay::text
