#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/io.h"
#include "text/gguf_patterns.h"
#include "text/json_fields.h"
#include "text/loaders.h"

namespace assay::text {
namespace {

/// Values of tokenizer.ggml.token_type.
enum class TokenType : std::int64_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kSpaceMark = "\u2581";

std::vector<VocabularyEntry> read_tokens(Fields& fields) {
  const Json& list = fields.array(kTokens);
  std::vector<VocabularyEntry> entries;
  entries.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    entries.push_back({as_text(list[i], fields.place(kTokens)), static_cast<TokenId>(i)});
  }
  return entries;
}

/// Control and unknown tokens are special; user-defined ones are found in any text.
std::vector<AddedToken> read_added(Fields& fields, const Vocabulary& vocabulary) {
  std::vector<AddedToken> added;
  if (fields.find(kTypes) == nullptr) return added;
  const Json& types = fields.array(kTypes);
  if (types.size() != vocabulary.size()) {
    fail(ErrorCode::bad_data, "{} has {} entries for {} tokens", fields.place(kTypes), types.size(),
         vocabulary.size());
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    const auto type = static_cast<TokenType>(as_integer(types[i], fields.place(kTypes)));
    const bool special = type == TokenType::control || type == TokenType::unknown;
    if (!special && type != TokenType::user_defined) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = *vocabulary.piece(token.id);
    token.special = special;
    if (!token.content.empty()) added.push_back(std::move(token));
  }
  return added;
}

std::vector<Merge> read_merges(Fields& fields) {
  const Json& list = fields.array(kMerges);
  std::vector<Merge> merges;
  merges.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string& text = as_text(list[i], fields.place(kMerges));
    const auto space = text.find(' ', 1);
    if (space == std::string::npos || space + 1 == text.size()) {
      fail(ErrorCode::bad_data, "{}[{}]: two pieces with a space between are expected",
           fields.place(kMerges), i);
    }
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return merges;
}

std::optional<TokenId> read_id(Fields& fields, const char* key, std::size_t size) {
  if (fields.find(key) == nullptr) return std::nullopt;
  const std::int64_t id = fields.integer(key, 0);
  if (id < 0 || static_cast<std::uint64_t>(id) >= size) {
    fail(ErrorCode::bad_data, "{}: id {} is not in the vocabulary of {}", fields.place(key), id,
         size);
  }
  return static_cast<TokenId>(id);
}

const GgufPattern& choose_pattern(Fields& fields, std::vector<std::string>& warnings) {
  if (fields.find(kPre) == nullptr) {
    warnings.push_back(
        fmt::format("{} is missing: text is split as llama.cpp does by default, ids may differ "
                    "from the model's",
                    kPre));
    return *find_gguf_pattern("default");
  }
  const std::string name = fields.text(kPre);
  if (const GgufPattern* known = find_gguf_pattern(name)) return *known;
  warnings.push_back(fmt::format(
      "{} '{}' is unknown: text is split as GPT-2 does, ids may differ from the model's", kPre,
      base::printable(name)));
  return *find_gguf_pattern("gpt-2");
}

/// What stands around a text where the file does not say.
struct FrameDefaults {
  bool bos = false;
  bool eos = false;
};

void add_frame(Fields& fields, const FrameDefaults& defaults, TokenizerParts& parts) {
  const auto add = [&](const char* key, bool otherwise, const std::optional<TokenId>& id,
                       std::vector<TokenId>& side) {
    if (!fields.boolean(key, otherwise)) return;
    if (!id) fail(ErrorCode::bad_data, "{} is true but the token is not named", fields.place(key));
    side.push_back(*id);
  };
  add("tokenizer.ggml.add_bos_token", defaults.bos, parts.bos, parts.prefix);
  add("tokenizer.ggml.add_eos_token", defaults.eos, parts.eos, parts.suffix);
}

void add_byte_level_bpe(Fields& fields, TokenizerParts& parts) {
  const GgufPattern& pattern = choose_pattern(fields, parts.warnings);
  for (const std::string_view source : pattern.patterns) {
    SplitStep step;
    step.pattern = std::make_shared<const Regex>(translate_pattern(source, kPre), kPre);
    parts.pre_tokenizer.emplace_back(std::move(step));
  }
  BpeOptions options;
  options.ignore_merges = pattern.ignore_merges;
  options.drop_before_merging = false;
  parts.model = Bpe(*parts.vocabulary, read_merges(fields), options, fields.place(kMerges));
  parts.decoder.emplace_back(ByteLevelDecoder{true});
  add_frame(fields, {pattern.add_bos && parts.bos.has_value(), false}, parts);
}

std::vector<float> read_scores(Fields& fields, std::size_t size) {
  const Json& list = fields.array(kScores);
  std::vector<float> scores;
  scores.reserve(list.size());
  for (const Json& item : list) {
    if (!item.is_number() || std::isnan(item.get<float>())) {
      fail(ErrorCode::bad_data, "{}[{}]: a score is expected", fields.place(kScores),
           scores.size());
    }
    scores.push_back(item.get<float>());
  }
  if (scores.size() != size) {
    fail(ErrorCode::bad_data, "{} has {} entries for {} tokens", fields.place(kScores),
         scores.size(), size);
  }
  return scores;
}

/// SentencePiece's BPE: spaces are part of the pieces, and every text begins with one.
void add_sentencepiece(Fields& fields, TokenizerParts& parts) {
  const std::size_t size = parts.vocabulary->size();
  const bool prefix = fields.boolean("tokenizer.ggml.add_space_prefix", true);
  if (prefix) parts.normalizer.emplace_back(Prepend{kSpaceMark});
  parts.normalizer.emplace_back(Replacement{" ", nullptr, kSpaceMark});
  const auto unknown = read_id(fields, "tokenizer.ggml.unknown_token_id", size);
  parts.model = ScoredBpe(*parts.vocabulary, read_scores(fields, size), unknown.value_or(0));
  parts.decoder.emplace_back(Replacement{kSpaceMark, nullptr, " "});
  parts.decoder.emplace_back(ByteFallbackDecoder{});
  parts.decoder.emplace_back(FuseDecoder{});
  if (prefix) parts.decoder.emplace_back(StripDecoder{" ", 1, 0});
  add_frame(fields, {true, false}, parts);
}

/// The file marks the beginnings of words, not what continues them, and "[...]" with nothing.
std::vector<VocabularyEntry> with_continuing_prefix(std::vector<VocabularyEntry> entries) {
  for (auto& [piece, id] : entries) {
    if (piece.starts_with(kSpaceMark)) {
      piece.erase(0, std::string_view(kSpaceMark).size());
    } else if (piece.size() < 3 || !piece.starts_with('[') || !piece.ends_with(']')) {
      piece.insert(0, "##");
    }
  }
  return entries;
}

/// WordPiece with BERT's normalizer, which the file says nothing about: that of uncased models.
void add_wordpiece(Fields& fields, TokenizerParts& parts) {
  const std::size_t size = parts.vocabulary->size();
  parts.normalizer.emplace_back(BertNormalizer{});
  parts.pre_tokenizer.emplace_back(BertStep{});
  WordPieceOptions options;
  if (const auto unknown = read_id(fields, "tokenizer.ggml.unknown_token_id", size)) {
    options.unknown = *parts.vocabulary->piece(*unknown);
  }
  parts.model = WordPiece(*parts.vocabulary, options, fields.place(kTokens));
  parts.decoder.emplace_back(WordPieceDecoder{});
  for (const char* key : {"tokenizer.ggml.cls_token_id", "tokenizer.ggml.seperator_token_id"}) {
    const auto id = read_id(fields, key, size);
    auto& named =
        std::string_view(key).find("cls") != std::string_view::npos ? parts.bos : parts.eos;
    if (id) named = id;
  }
  add_frame(fields, {true, true}, parts);
}

struct Model {
  std::string_view name;
  MatchOrder order;
  void (*add)(Fields&, TokenizerParts&);
};
constexpr Model kModels[] = {{"gpt2", MatchOrder::longest_first, add_byte_level_bpe},
                             {"llama", MatchOrder::longest_first, add_sentencepiece},
                             {"bert", MatchOrder::leftmost_longest, add_wordpiece}};

const Model& choose_model(Fields& fields, const std::string& file) {
  if (fields.find("tokenizer.ggml.model") == nullptr) {
    fail(ErrorCode::bad_data,
         "{}: missing tokenizer; looked for tokenizer.ggml.model in the metadata", file);
  }
  const std::string name = fields.text("tokenizer.ggml.model");
  const auto* found = std::ranges::find(kModels, name, &Model::name);
  if (found == std::end(kModels)) {
    fail(ErrorCode::bad_data,
         "{}: '{}' is not supported; known are gpt2 (byte-level BPE), llama (SentencePiece's BPE) "
         "and bert (WordPiece)",
         fields.place("tokenizer.ggml.model"), base::printable(name));
  }
  return *found;
}

}  // namespace

TokenizerParts parts_from_gguf(const Json& metadata, const std::string& file) {
  Fields fields(metadata, file + ": ");
  const Model& model = choose_model(fields, file);
  TokenizerParts parts;
  auto tokens = read_tokens(fields);
  if (model.add == add_wordpiece) tokens = with_continuing_prefix(std::move(tokens));
  parts.vocabulary = std::make_unique<const Vocabulary>(std::move(tokens), fields.place(kTokens));
  parts.added =
      AddedTokens(read_added(fields, *parts.vocabulary), {}, model.order, fields.place(kTypes));
  const std::size_t size = parts.vocabulary->size();
  parts.bos = read_id(fields, "tokenizer.ggml.bos_token_id", size);
  parts.eos = read_id(fields, "tokenizer.ggml.eos_token_id", size);
  parts.pad = read_id(fields, "tokenizer.ggml.padding_token_id", size);
  model.add(fields, parts);
  return parts;
}

std::unique_ptr<Tokenizer> load_gguf_tokenizer(const files::TensorFile& file) {
  return make_tokenizer(
      parts_from_gguf(file.metadata(), base::printable(file.path().native(), 1000)));
}

}  // namespace assay::text
