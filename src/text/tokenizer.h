#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/tensor_file.h"

namespace assay::text {

using TokenId = std::int32_t;

/// How a text is turned into ids.
struct EncodeOptions {
  bool add_special = true;     ///< [CLS] ... [SEP], <s> ... as the tokenizer's own template says
  bool parse_special = false;  ///< special tokens written in the text become their ids
  std::size_t max_length = 0;  ///< truncate to this many ids, special ones kept; 0 = no limit
  bool file_lengths = false;   ///< truncate and pad as tokenizer.json says
};

/// Text to ids and back. Immutable and safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Takes any bytes: invalid UTF-8 is replaced by U+FFFD first (as the references do). bad_data
  /// only if the tokenizer's own splitting pattern exceeds its limits (exponential backtracking).
  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text,
                                                    const EncodeOptions& options = {}) const = 0;
  /// Bytes of the ids, special tokens left out when `skip_special`; ids without a piece add
  /// nothing. Byte-level pieces may end within a character: nothing is replaced, so parts can be
  /// joined.
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> ids,
                                           bool skip_special = true) const = 0;
  /// Surface form of one id, as stored ("##ing", "Ġthe"); empty for a hole in the vocabulary. usage
  /// error if the id is not below vocabulary_size().
  [[nodiscard]] virtual std::string token(TokenId id) const = 0;
  /// Highest id plus one.
  [[nodiscard]] virtual std::size_t vocabulary_size() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> id_of(std::string_view token) const = 0;
  [[nodiscard]] std::optional<TokenId> bos() const { return bos_; }
  [[nodiscard]] std::optional<TokenId> eos() const { return eos_; }
  [[nodiscard]] std::optional<TokenId> pad() const { return pad_; }
  /// Doubts that every row using this tokenizer shows (unknown tokenizer.ggml.pre); may be empty.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 protected:
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
  std::optional<TokenId> pad_;
  std::vector<std::string> warnings_;
};

/// From tokenizer.json (WordPiece, BPE or Unigram). Unknown parts of it are bad_data errors that
/// name the key; nothing is ignored that would change ids. Its `truncation` and `padding` are
/// applied where EncodeOptions::file_lengths asks for it: a score is one of whole texts.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& file);

/// From vocab.txt, with BERT's normalizer; `lowercase` as in tokenizer_config.json.
[[nodiscard]] std::unique_ptr<Tokenizer> load_wordpiece_vocab(const std::filesystem::path& file,
                                                              bool lowercase);

/// From GGUF metadata (tokenizer.ggml.model "gpt2", "llama" or "bert").
[[nodiscard]] std::unique_ptr<Tokenizer> load_gguf_tokenizer(const files::TensorFile& file);

/// Whatever the model has; bad_data "missing tokenizer" saying where it was looked for.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer(const files::ModelFiles& files);

}  // namespace assay::text
