#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/piece_trie.h"

namespace assay::text {

struct UnigramOptions {
  TokenId unknown = 0;
  bool byte_fallback = false;  ///< what has no piece becomes its bytes' <0xNN>, if all are there
};

/// Unigram language model (Kudo 2018): of all ways to write a text in pieces, the one with the
/// largest sum of scores (Viterbi). A character without a piece of its own counts as unknown, 10
/// below the lowest score; neighbouring unknown ones become one token.
class Unigram {
 public:
  /// Buffers that calls reuse; one per thread.
  struct Scratch {
    struct Node {  ///< the best path that ends at a byte
      double score = 0;
      TokenId id = -1;
      std::uint32_t begin = 0;
    };
    std::vector<Node> nodes;
    std::vector<TokenId> backward;
  };

  /// `scores` by id; `vocabulary` must outlive this object. bad_data if `unknown` is not in it.
  Unigram(const Vocabulary& vocabulary, std::vector<double> scores, const UnigramOptions& options,
          const std::string& where);

  /// Appends the ids of one piece of text (valid UTF-8); time linear in its length.
  void encode(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  void find_paths(std::string_view text, std::vector<Scratch::Node>& nodes) const;
  void add_unknown(std::string_view part, std::vector<TokenId>& backward) const;

  const Vocabulary* vocabulary_;
  PieceTrie trie_;
  std::vector<double> scores_;
  double unknown_score_ = 0;
  TokenId unknown_ = 0;
  bool byte_fallback_ = false;
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace assay::text
