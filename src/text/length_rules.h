#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "text/tokenizer.h"

namespace assay::text {

enum class Side { left, right };

/// What a tokenizer.json says about how long a text's ids are. Applied where
/// EncodeOptions::file_lengths asks for it, to single texts and in the order of the `tokenizers`
/// package: truncated, put between special tokens, padded.
struct LengthRules {
  struct Truncation {
    std::size_t max_length = 0;  ///< special tokens counted in
    Side side = Side::right;     ///< where ids are taken off
    std::size_t stride = 0;      ///< by which the parts that are cut off would overlap
    bool only_second = false;    ///< cuts the second text of a pair
    std::string where;           ///< of errors
  };
  struct Padding {
    std::size_t fixed = 0;     ///< at least so many ids; 0: of a batch the longest's
    std::size_t multiple = 1;  ///< of which the length is made one
    Side side = Side::right;   ///< where ids are added
    TokenId id = 0;
  };
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
};

/// Leaves at most `most` ids.
void truncate(std::vector<TokenId>& ids, std::size_t most, Side side);
/// Leaves room for `special` ids; bad_data where the package, too, refuses to cut: files keep what
/// their last use needed (pairs of a question and a context), which short texts do not mind.
void truncate(std::vector<TokenId>& ids, const LengthRules::Truncation& rule, std::size_t special);
void add_padding(std::vector<TokenId>& ids, const LengthRules::Padding& padding);

}  // namespace assay::text
