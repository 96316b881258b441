#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace assay::text {

/// The pieces of a vocabulary by their bytes, to find all that a text begins with.
class PieceTrie {
 public:
  PieceTrie() = default;
  explicit PieceTrie(const Vocabulary& vocabulary);

  /// Calls accept(length, id) for every piece that `text` begins with, shortest first.
  template <typename Accept>
  void each_prefix(std::string_view text, Accept&& accept) const {
    std::size_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      const auto begin = nodes_.begin() + nodes_[node].first_child;
      const auto end = begin + nodes_[node].children;
      const auto child = std::lower_bound(
          begin, end, byte, [](const Node& one, unsigned char label) { return one.label < label; });
      if (child == end || child->label != byte) return;
      node = static_cast<std::size_t>(child - nodes_.begin());
      if (child->id >= 0) accept(i + 1, child->id);
    }
  }

 private:
  struct Node {
    std::uint32_t first_child = 0;
    std::uint16_t children = 0;
    unsigned char label = 0;
    TokenId id = -1;
  };
  std::vector<Node> nodes_ = {Node{}};  ///< children of one node stand together, by label
};

}  // namespace assay::text
