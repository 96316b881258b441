#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace assay::text {

/// SentencePiece's BPE as GGUF files hold it (tokenizer.ggml.model "llama"): pieces with scores and
/// no merges. Of all neighbours that together are a piece, those with the highest score merge
/// first, the leftmost among equals. What is no piece in the end becomes its bytes' <0xNN>.
class ScoredBpe {
 public:
  /// Buffers that calls reuse; one per thread.
  struct Scratch {
    struct Symbol {
      std::uint32_t begin = 0;
      std::uint32_t size = 0;  ///< bytes; 0 once it has become part of another
      std::uint32_t previous = 0;
      std::uint32_t next = 0;
    };
    struct Candidate {
      float score = 0;
      std::uint32_t left = 0;
      std::uint32_t right = 0;
      std::uint32_t size = 0;  ///< of both together; outdated when it no longer is
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// `scores` by id, none of them NaN; `vocabulary` must outlive this object. `unknown` stands for
  /// bytes without a piece.
  ScoredBpe(const Vocabulary& vocabulary, std::vector<float> scores, TokenId unknown);

  /// Appends the ids of a text (valid UTF-8); O(n log n) in its length.
  void encode(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  void push_candidate(std::string_view text, Scratch& scratch, std::uint32_t left,
                      std::uint32_t right) const;
  void merge_all(std::string_view text, Scratch& scratch) const;

  const Vocabulary* vocabulary_;
  std::vector<float> scores_;
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace assay::text
