#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/byte_pieces.h"
#include "text/vocabulary.h"

namespace assay::text {

using Merge = std::pair<std::string, std::string>;

struct BpeOptions {
  bool byte_level = true;                ///< pieces stand for bytes; else they are what they read
  bool byte_fallback = false;            ///< a character without a piece becomes its bytes' <0xNN>
  bool ignore_merges = false;            ///< a text that is a piece as a whole is not split
  std::optional<std::string> unknown{};  ///< for what has no piece; none drops it
  bool fuse_unknown = false;             ///< neighbouring unknown ones become one token
  bool drop_before_merging = true;       ///< a dropped byte's neighbours may merge (tokenizer.json)
                                         ///< or stay apart (llama.cpp)
};

/// Open-addressed table from a pair of ids to the merge's rank and result.
class MergeTable {
 public:
  struct Entry {
    std::uint64_t pair = kFree;
    std::uint32_t rank = 0;
    TokenId merged = 0;
  };
  void reserve(std::size_t entries);
  /// False if the pair is there already.
  bool insert(TokenId left, TokenId right, std::uint32_t rank, TokenId merged);
  [[nodiscard]] const Entry* find(TokenId left, TokenId right) const;

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  [[nodiscard]] std::size_t slot(std::uint64_t pair) const;
  std::vector<Entry> entries_;
  int shift_ = 63;
};

/// Byte pair encoding, of bytes or of characters. The merge of lowest rank goes first, the leftmost
/// among equals; O(n log n) in the length of the piece.
class Bpe {
 public:
  /// Buffers that calls reuse; one per thread.
  struct Scratch {
    struct Symbol {
      TokenId id = 0;
      std::uint32_t previous = 0;
      std::uint32_t next = 0;
    };
    struct Candidate {
      std::uint64_t order = 0;  ///< rank, then position
      TokenId left = 0;
      TokenId right = 0;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// bad_data, naming `where` and the merge: a part or the result is not in the vocabulary, or the
  /// pair is a duplicate. The vocabulary is only read here.
  Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, const BpeOptions& options,
      const std::string& where);

  /// Appends the ids of one piece of text: valid UTF-8, or at byte level any bytes.
  void encode(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  void read_alphabet(const Vocabulary& vocabulary, const BpeOptions& options);
  void split_bytes(std::string_view bytes, std::vector<Scratch::Symbol>& symbols) const;
  void split_characters(std::string_view text, std::vector<Scratch::Symbol>& symbols) const;
  [[nodiscard]] bool fall_back(std::string_view character,
                               std::vector<Scratch::Symbol>& symbols) const;
  void merge_all(Scratch& scratch) const;
  void push_candidate(Scratch& scratch, std::uint32_t left, std::uint32_t right) const;

  std::array<TokenId, 256> byte_ids_{};  ///< of bytes, or of those that stand in for a character
  std::unordered_map<char32_t, TokenId> characters_;
  MergeTable merges_;
  std::unordered_map<std::string, TokenId> whole_;  ///< by text; only with ignore_merges
  std::optional<TokenId> unknown_;
  bool byte_level_ = true;
  bool fuse_unknown_ = false;
  bool drop_before_merging_ = true;
};

}  // namespace assay::text
