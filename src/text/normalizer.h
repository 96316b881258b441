#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/character_map.h"
#include "text/replacement.h"
#include "text/unicode.h"

namespace assay::text {

/// BERT's normalizer, in the order in which it works: control characters out and white space to
/// plain spaces; spaces around Chinese characters; accents off (through NFD); lower case.
struct BertNormalizer {
  bool clean_text = true;
  bool chinese_spaces = true;
  bool strip_accents = true;
  bool lowercase = true;
};

struct Lowercase {};

/// Removes marks (category M); what they stood on stays.
struct StripAccents {};

/// Removes control characters; other white space and invisible ones become spaces.
struct Nmt {};

/// SentencePiece's own normalization, shared by copies of the tokenizer's parts.
struct Precompiled {
  std::shared_ptr<const CharacterMap> map;
};

/// Put before a text that is not empty.
struct Prepend {
  std::string text;
};

/// White space off the ends.
struct StripSpaces {
  bool left = true;
  bool right = true;
};

using NormalizerStep = std::variant<BertNormalizer, UnicodeForm, Lowercase, StripAccents, Nmt,
                                    Precompiled, Prepend, Replacement, StripSpaces>;

/// Steps applied in turn; none leaves the text as it is.
using Normalizer = std::vector<NormalizerStep>;

/// `text` is valid UTF-8, and so is the result.
[[nodiscard]] std::string normalize(const Normalizer& normalizer, std::string_view text);

}  // namespace assay::text
