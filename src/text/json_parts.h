#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/pipeline.h"

// The parts of a tokenizer.json. Each reader takes the part's JSON (null where the file has none)
// and the place it stands at, for errors. A type or key that is not known is bad_data.
namespace assay::text {

/// The reading of `pre_tokenizer`. A ByteLevel step at the end is left out of the steps, since
/// byte-level models work on the bytes themselves; elsewhere it is a step like others.
struct PreTokenizerPart {
  PreTokenizer steps;
  bool byte_level = false;
};

/// Ids that post-processing puts around a text.
struct Frame {
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;
};

[[nodiscard]] Normalizer read_normalizer(const Json& part, const std::string& where);
[[nodiscard]] PreTokenizerPart read_pre_tokenizer(const Json& part, const std::string& where);
/// `size`: number of ids; special tokens' ids are checked against it.
[[nodiscard]] Frame read_post_processor(const Json& part, std::size_t size,
                                        const std::string& where);
[[nodiscard]] Decoder read_decoder(const Json& part, const std::string& where);
/// `size`: number of ids; `where`: the file.
[[nodiscard]] LengthRules read_lengths(const Json& truncation, const Json& padding,
                                       std::size_t size, const std::string& where);

}  // namespace assay::text
