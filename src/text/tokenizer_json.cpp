#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/io.h"
#include "text/json_fields.h"
#include "text/json_parts.h"
#include "text/loaders.h"

namespace assay::text {
namespace {

std::vector<VocabularyEntry> read_vocabulary(Fields& model) {
  const Json& part = model.at("vocab");
  const std::string where = model.place("vocab");
  if (!part.is_object()) {
    fail(ErrorCode::bad_data, "{}: an object of pieces and ids is expected, not {}", where,
         part.type_name());
  }
  std::vector<VocabularyEntry> entries;
  entries.reserve(part.size());
  for (const auto& [piece, value] : part.items()) {
    const std::string place = where + "." + base::printable(piece);
    entries.push_back({piece, checked_id(as_integer(value, place), part.size(), place)});
  }
  return entries;
}

/// "left right" (the older form) or ["left", "right"].
Merge read_merge(const Json& item, const std::string& where, std::size_t index) {
  if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
    return {item[0].get<std::string>(), item[1].get<std::string>()};
  }
  if (item.is_string()) {
    const auto& text = item.get_ref<const std::string&>();
    const auto space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  fail(ErrorCode::bad_data, "{}[{}]: two pieces with a space between are expected", where, index);
}

std::optional<std::string> optional_text(Fields& fields, const std::string& key) {
  const Json* value = fields.find(key);
  if (value == nullptr) return std::nullopt;
  return as_text(*value, fields.place(key));
}

void refuse_unless_empty(Fields& model, const char* key) {
  if (!model.text(key, "").empty()) {
    fail(ErrorCode::bad_data, "{} is not supported in BPE", model.place(key));
  }
}

Bpe read_bpe(Fields& model, const Vocabulary& vocabulary, bool byte_level) {
  const Json& list = model.array("merges");
  const std::string where = model.place("merges");
  std::vector<Merge> merges;
  merges.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) merges.push_back(read_merge(list[i], where, i));
  BpeOptions options;
  options.byte_level = byte_level;
  options.byte_fallback = model.boolean("byte_fallback", false);
  options.ignore_merges = model.boolean("ignore_merges", false);
  options.unknown = optional_text(model, "unk_token");
  options.fuse_unknown = model.boolean("fuse_unk", false);
  refuse_unless_empty(model, "continuing_subword_prefix");
  refuse_unless_empty(model, "end_of_word_suffix");
  if (const Json* dropout = model.find("dropout")) {
    if (!dropout->is_number() || dropout->get<double>() != 0) {
      fail(ErrorCode::bad_data, "{} would make the ids random", model.place("dropout"));
    }
  }
  if (byte_level && options.byte_fallback) {
    fail(ErrorCode::bad_data, "{} is not supported in byte-level BPE",
         model.place("byte_fallback"));
  }
  return {vocabulary, merges, options, where};
}

WordPiece read_wordpiece(Fields& model, const Vocabulary& vocabulary) {
  WordPieceOptions options;
  options.unknown = model.text("unk_token", options.unknown);
  options.continuing_prefix = model.text("continuing_subword_prefix", options.continuing_prefix);
  const std::int64_t most = model.integer("max_input_chars_per_word", 100);
  if (most < 0) {
    fail(ErrorCode::bad_data, "{}: {} is negative", model.place("max_input_chars_per_word"), most);
  }
  options.max_input_chars_per_word = static_cast<std::size_t>(most);
  return {vocabulary, options, model.where()};
}

/// A score as `tokenizers` reads it: its shortest decimal, as digits over a power of ten, rounded
/// twice. The last bit decides between ways to write a text whose scores are equal but for it.
double score_as_read(double value) {
  std::array<char, 40> digits{};
  const auto end =
      std::to_chars(digits.begin(), digits.end(), value, std::chars_format::scientific);
  const std::string text(digits.begin(), end.ptr);  // "-3.25e-01"
  const std::size_t letter = text.find('e');
  const std::size_t dot = text.find('.');
  std::string whole = text.substr(0, letter);
  std::erase(whole, '.');
  const auto fraction = dot == std::string::npos ? 0 : static_cast<int>(letter - dot - 1);
  const int exponent = std::stoi(text.substr(letter + 1)) - fraction;
  const double power = std::strtod(fmt::format("1e{}", std::abs(exponent)).c_str(), nullptr);
  const double mantissa = std::strtod(whole.c_str(), nullptr);
  return exponent < 0 ? mantissa / power : mantissa * power;
}

/// The pieces of a Unigram model, [["piece", score], ...], and by id their scores.
std::vector<VocabularyEntry> read_scored_vocabulary(Fields& model, std::vector<double>& scores) {
  const Json& list = model.array("vocab");
  std::vector<VocabularyEntry> entries;
  entries.reserve(list.size());
  scores.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& item = list[i];
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_number()) {
      fail(ErrorCode::bad_data, "{}[{}]: a piece and its score are expected", model.place("vocab"),
           i);
    }
    entries.push_back({item[0].get<std::string>(), static_cast<TokenId>(i)});
    scores.push_back(score_as_read(item[1].get<double>()));
  }
  return entries;
}

Unigram read_unigram(Fields& model, const Vocabulary& vocabulary, std::vector<double> scores) {
  UnigramOptions options;
  options.unknown = checked_id(as_integer(model.at("unk_id"), model.place("unk_id")),
                               vocabulary.size(), model.place("unk_id"));
  options.byte_fallback = model.boolean("byte_fallback", false);
  return {vocabulary, std::move(scores), options, model.place("unk_id")};
}

/// Older files leave the type of the model out.
std::string model_type(Fields& model) {
  std::string type = model.text("type", "");
  if (!type.empty()) return type;
  if (model.find("unk_id") != nullptr) return "Unigram";
  return model.find("merges") != nullptr ? "BPE" : "WordPiece";
}

AddedToken read_added_token(const Json& item, std::size_t entries, const std::string& where) {
  Fields fields(item, where);
  AddedToken token;
  token.id = checked_id(as_integer(fields.at("id"), fields.place("id")), entries, where);
  token.content = fields.text("content");
  token.special = fields.boolean("special", false);
  token.single_word = fields.boolean("single_word", false);
  token.lstrip = fields.boolean("lstrip", false);
  token.rstrip = fields.boolean("rstrip", false);
  token.normalized = fields.boolean("normalized", !token.special);
  fields.finish();
  return token;
}

std::vector<AddedToken> read_added_tokens(Fields& root, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  if (root.find("added_tokens") == nullptr) return tokens;
  const Json& list = root.array("added_tokens");
  const std::size_t entries = vocabulary.size() + list.size();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", root.place("added_tokens"), i);
    AddedToken token = read_added_token(list[i], entries, where);
    const auto in_model = vocabulary.find(token.content);
    const std::string* holder = vocabulary.piece(token.id);
    const bool clash = in_model ? *in_model != token.id : holder != nullptr && !holder->empty();
    if (clash) {
      fail(ErrorCode::bad_data, "{}: '{}' with id {} contradicts model.vocab", where,
           base::printable(token.content), token.id);
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

std::size_t count_ids(const TokenizerParts& parts) {
  std::size_t size = parts.vocabulary->size();
  for (const AddedToken& token : parts.added.tokens()) {
    size = std::max(size, static_cast<std::size_t>(token.id) + 1);
  }
  return size;
}

/// Where white space was taken off, the reference no longer takes the first piece for the text's
/// start in all cases; such files are not known to exist.
void check_start_is_clear(const TokenizerParts& parts, const std::string& where) {
  const bool strips = std::ranges::any_of(parts.normalizer, [](const NormalizerStep& step) {
    const auto* strip = std::get_if<StripSpaces>(&step);
    return strip != nullptr && strip->left;
  });
  const bool first = std::ranges::any_of(parts.pre_tokenizer, [](const PreTokenizerStep& step) {
    const auto* metaspace = std::get_if<MetaspaceStep>(&step);
    return metaspace != nullptr && metaspace->prepend == MetaspaceStep::Prepend::first;
  });
  if (strips && first) {
    fail(ErrorCode::bad_data,
         "{}: prepend_scheme 'first' behind the normalizer Strip is not supported", where);
  }
}

/// Vocabulary, pre-tokenizer and model, which only make sense together.
void read_model(Fields& root, TokenizerParts& parts, const Json& pre_tokenizer) {
  Fields model(root.at("model"), root.place("model"));
  const std::string type = model_type(model);
  if (type != "BPE" && type != "WordPiece" && type != "Unigram") {
    fail(ErrorCode::bad_data, "{}: '{}' is not supported; known are BPE, Unigram and WordPiece",
         model.place("type"), base::printable(type));
  }
  std::vector<double> scores;
  parts.vocabulary = std::make_unique<const Vocabulary>(
      type == "Unigram" ? read_scored_vocabulary(model, scores) : read_vocabulary(model),
      model.place("vocab"));
  auto pre = read_pre_tokenizer(pre_tokenizer, root.place("pre_tokenizer"));
  parts.pre_tokenizer = std::move(pre.steps);
  if (pre.byte_level && type != "BPE") parts.pre_tokenizer.emplace_back(ByteLevelStep{});
  check_start_is_clear(parts, root.place("pre_tokenizer"));
  if (type == "BPE") {
    parts.model = read_bpe(model, *parts.vocabulary, pre.byte_level);
  } else if (type == "Unigram") {
    parts.model = read_unigram(model, *parts.vocabulary, std::move(scores));
  } else {
    parts.model = read_wordpiece(model, *parts.vocabulary);
    parts.pad = parts.vocabulary->find("[PAD]");
  }
  model.finish();
}

}  // namespace

TokenizerParts parts_from_json(const std::filesystem::path& file) {
  const Json json = base::read_json(file);
  const Json absent;
  Fields root(json, base::printable(file.native(), 1000) + ": ");
  const auto part = [&](const char* key) -> const Json& {
    const Json* value = root.find(key);
    return value == nullptr ? absent : *value;
  };
  TokenizerParts parts;
  parts.normalizer = read_normalizer(part("normalizer"), root.place("normalizer"));
  read_model(root, parts, part("pre_tokenizer"));
  parts.added = AddedTokens(read_added_tokens(root, *parts.vocabulary), parts.normalizer,
                            MatchOrder::leftmost_longest, root.place("added_tokens"));
  auto frame =
      read_post_processor(part("post_processor"), count_ids(parts), root.place("post_processor"));
  parts.prefix = std::move(frame.prefix);
  parts.suffix = std::move(frame.suffix);
  parts.decoder = read_decoder(part("decoder"), root.place("decoder"));
  parts.lengths = read_lengths(part("truncation"), part("padding"), count_ids(parts), root.where());
  root.ignore("version");
  root.finish();
  return parts;
}

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& file) {
  return make_tokenizer(parts_from_json(file));
}

}  // namespace assay::text
