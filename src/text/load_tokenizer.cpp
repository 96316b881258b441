#include <array>
#include <fstream>

#include "base/io.h"
#include "text/json_fields.h"
#include "text/loaders.h"

namespace assay::text {
namespace {

bool is_gguf(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::array<char, 4> magic{};
  stream.read(magic.data(), magic.size());
  return stream && std::string_view(magic.data(), magic.size()) == "GGUF";
}

/// "[PAD]" or {"content": "[PAD]", ...}.
std::optional<std::string> named_token(Fields& config, const char* key) {
  const Json* value = config.find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) return as_text(*value, config.place(key));
  Fields token(*value, config.place(key));
  return token.text("content");
}

void add_named_tokens(const TokenizerConfig& config, TokenizerParts& parts) {
  const auto resolve = [&](const std::optional<std::string>& name, std::optional<TokenId>& id) {
    if (!name) return;
    const AddedToken* added = parts.added.find(*name);
    id = added != nullptr ? added->id : parts.vocabulary->find(*name);
  };
  resolve(config.bos, parts.bos);
  resolve(config.eos, parts.eos);
  resolve(config.pad, parts.pad);
}

}  // namespace

TokenizerConfig read_tokenizer_config(const std::filesystem::path& file) {
  const Json json = base::read_json(file);
  Fields fields(json, base::printable(file.native(), 1000) + ": ");
  TokenizerConfig config;
  config.normalizer.lowercase = fields.boolean("do_lower_case", true);
  config.normalizer.strip_accents = fields.boolean("strip_accents", config.normalizer.lowercase);
  config.normalizer.chinese_spaces = fields.boolean("tokenize_chinese_chars", true);
  config.bos = named_token(fields, "bos_token");
  config.eos = named_token(fields, "eos_token");
  config.pad = named_token(fields, "pad_token");
  return config;
}

std::unique_ptr<Tokenizer> load_tokenizer(const files::ModelFiles& files) {
  if (!files.weights.empty() && is_gguf(files.weights)) {
    return load_gguf_tokenizer(files::open_gguf(files.weights));
  }
  if (files.tokenizer.empty() && files.vocab.empty()) {
    fail(ErrorCode::bad_data,
         "{}: missing tokenizer; looked for tokenizer.json and vocab.txt beside the weights",
         base::printable(files.root.native(), 1000));
  }
  TokenizerConfig config;
  if (!files.tokenizer_config.empty()) config = read_tokenizer_config(files.tokenizer_config);
  TokenizerParts parts = files.tokenizer.empty() ? parts_from_vocab(files.vocab, config.normalizer)
                                                 : parts_from_json(files.tokenizer);
  add_named_tokens(config, parts);
  return make_tokenizer(std::move(parts));
}

}  // namespace assay::text
