#include "text/piece_trie.h"

#include <queue>

namespace assay::text {
namespace {

struct Entry {
  std::string_view piece;
  TokenId id = 0;
};

/// Pieces below one node: entries begin .. end share their first `depth` bytes.
struct Branch {
  std::size_t node = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t depth = 0;
};

std::vector<Entry> sorted_entries(const Vocabulary& vocabulary) {
  std::vector<Entry> entries;
  entries.reserve(vocabulary.size());
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const std::string* piece = vocabulary.piece(static_cast<TokenId>(i));
    if (piece != nullptr && !piece->empty()) entries.push_back({*piece, static_cast<TokenId>(i)});
  }
  std::ranges::sort(entries, {}, &Entry::piece);
  return entries;
}

}  // namespace

PieceTrie::PieceTrie(const Vocabulary& vocabulary) {
  const std::vector<Entry> entries = sorted_entries(vocabulary);
  std::queue<Branch> open;
  open.push({0, 0, entries.size(), 0});
  while (!open.empty()) {
    Branch branch = open.front();
    open.pop();
    const auto ends_here = [&](std::size_t i) { return entries[i].piece.size() == branch.depth; };
    if (branch.begin < branch.end && ends_here(branch.begin)) {
      nodes_[branch.node].id = entries[branch.begin++].id;
    }
    nodes_[branch.node].first_child = static_cast<std::uint32_t>(nodes_.size());
    while (branch.begin < branch.end) {
      const auto label = static_cast<unsigned char>(entries[branch.begin].piece[branch.depth]);
      std::size_t end = branch.begin;
      while (end < branch.end &&
             static_cast<unsigned char>(entries[end].piece[branch.depth]) == label) {
        ++end;
      }
      open.push({nodes_.size(), branch.begin, end, branch.depth + 1});
      nodes_.push_back({.label = label});
      ++nodes_[branch.node].children;
      branch.begin = end;
    }
  }
}

}  // namespace assay::text
