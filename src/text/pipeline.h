#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/length_rules.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/scored_bpe.h"
#include "text/tokenizer.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

namespace assay::text {

/// A tokenizer as plain parts, whatever file they came from.
struct TokenizerParts {
  std::unique_ptr<const Vocabulary> vocabulary;  ///< the model's pieces, without tokens only added
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::variant<std::monostate, WordPiece, Bpe, Unigram, ScoredBpe> model;
  std::vector<TokenId> prefix;  ///< put before the text's ids when special tokens are wanted
  std::vector<TokenId> suffix;
  Decoder decoder;
  LengthRules lengths;
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::optional<TokenId> pad;
  std::vector<std::string> warnings;
};

/// Fills the gaps that the interface leaves to the file; internal error without a model.
[[nodiscard]] std::unique_ptr<Tokenizer> make_tokenizer(TokenizerParts parts);

}  // namespace assay::text
