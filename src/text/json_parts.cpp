#include "text/json_parts.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/io.h"
#include "text/json_fields.h"

namespace assay::text {
namespace {

constexpr int kDeepest = 16;

[[noreturn]] void refuse_type(const Fields& fields, const std::string& type,
                              std::string_view known) {
  fail(ErrorCode::bad_data, "{}: type '{}' is not supported; known are {}", fields.where(),
       base::printable(type), known);
}

void check_depth(int depth, const std::string& where) {
  if (depth > kDeepest) {
    fail(ErrorCode::bad_data, "{}: sequences are nested deeper than {}", where, kDeepest);
  }
}

std::string element(const Fields& fields, const std::string& key, std::size_t index) {
  return fmt::format("{}[{}]", fields.place(key), index);
}

void add_normalizer(const Json& part, const std::string& where, int depth, Normalizer& out) {
  check_depth(depth, where);
  Fields fields(part, where);
  const std::string type = fields.text("type");
  if (type == "Sequence") {
    const Json& list = fields.array("normalizers");
    for (std::size_t i = 0; i < list.size(); ++i) {
      add_normalizer(list[i], element(fields, "normalizers", i), depth + 1, out);
    }
  } else if (type == "BertNormalizer") {
    BertNormalizer step;
    step.clean_text = fields.boolean("clean_text", true);
    step.chinese_spaces = fields.boolean("handle_chinese_chars", true);
    step.lowercase = fields.boolean("lowercase", true);
    step.strip_accents = fields.boolean("strip_accents", step.lowercase);
    out.emplace_back(step);
  } else if (type == "NFC") {
    out.emplace_back(UnicodeForm::nfc);
  } else if (type == "NFD") {
    out.emplace_back(UnicodeForm::nfd);
  } else if (type == "NFKC") {
    out.emplace_back(UnicodeForm::nfkc);
  } else if (type == "NFKD") {
    out.emplace_back(UnicodeForm::nfkd);
  } else if (type == "Lowercase") {
    out.emplace_back(Lowercase{});
  } else {
    refuse_type(fields, type,
                "BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase and Sequence of these");
  }
  fields.finish();
}

SplitBehavior behavior_named(const std::string& name, const std::string& where) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  fail(ErrorCode::bad_data, "{}: '{}' is not a behavior", where, base::printable(name));
}

SplitStep read_split(Fields& fields) {
  SplitStep step;
  Fields pattern(fields.at("pattern"), fields.place("pattern"));
  std::string source;
  if (const Json* literal = pattern.find("String")) {
    source = literal_pattern(as_text(*literal, pattern.place("String")));
  } else {
    source = translate_pattern(pattern.text("Regex"), pattern.place("Regex"));
  }
  pattern.finish();
  step.pattern = std::make_shared<const Regex>(source, pattern.where());
  step.behavior = behavior_named(fields.text("behavior"), fields.place("behavior"));
  step.invert = fields.boolean("invert", false);
  return step;
}

void add_byte_level(Fields& fields, PreTokenizerPart& out) {
  if (fields.boolean("add_prefix_space", true)) out.steps.emplace_back(PrefixSpaceStep{});
  if (fields.boolean("use_regex", true)) {
    SplitStep step;
    step.pattern =
        std::make_shared<const Regex>(translate_pattern(kGpt2Pattern, "ByteLevel"), fields.where());
    out.steps.emplace_back(std::move(step));
  }
  fields.ignore("trim_offsets");
  out.byte_level = true;
}

void add_pre_tokenizer(const Json& part, const std::string& where, int depth,
                       PreTokenizerPart& out) {
  check_depth(depth, where);
  if (out.byte_level) {
    fail(ErrorCode::bad_data, "{}: a pre-tokenizer behind ByteLevel is not supported", where);
  }
  Fields fields(part, where);
  const std::string type = fields.text("type");
  if (type == "Sequence") {
    const Json& list = fields.array("pretokenizers");
    for (std::size_t i = 0; i < list.size(); ++i) {
      add_pre_tokenizer(list[i], element(fields, "pretokenizers", i), depth + 1, out);
    }
  } else if (type == "BertPreTokenizer") {
    out.steps.emplace_back(BertStep{});
  } else if (type == "ByteLevel") {
    add_byte_level(fields, out);
  } else if (type == "Split") {
    out.steps.emplace_back(read_split(fields));
  } else if (type == "Digits") {
    out.steps.emplace_back(DigitsStep{fields.boolean("individual_digits", false)});
  } else {
    refuse_type(fields, type, "BertPreTokenizer, ByteLevel, Split, Digits and Sequence of these");
  }
  fields.finish();
}

using SpecialIds = std::map<std::string, std::vector<TokenId>, std::less<>>;

SpecialIds read_special_ids(const Json& part, std::size_t size, const std::string& where) {
  SpecialIds out;
  if (!part.is_object()) fail(ErrorCode::bad_data, "{}: an object is expected", where);
  for (const auto& [name, value] : part.items()) {
    Fields fields(value, fmt::format("{}.{}", where, base::printable(name)));
    const Json& list = fields.array("ids");
    auto& ids = out[name];
    for (const Json& item : list) {
      const std::int64_t id = as_integer(item, fields.place("ids"));
      if (id < 0 || static_cast<std::uint64_t>(id) >= size) {
        fail(ErrorCode::bad_data, "{}: id {} is not in the vocabulary of {}", fields.place("ids"),
             id, size);
      }
      ids.push_back(static_cast<TokenId>(id));
    }
    fields.ignore("id");
    fields.ignore("tokens");
    fields.finish();
  }
  return out;
}

/// One text is all this program ever frames, so `pair` is read by nobody.
Frame read_template(Fields& fields, std::size_t size) {
  const SpecialIds special =
      read_special_ids(fields.at("special_tokens"), size, fields.place("special_tokens"));
  fields.ignore("pair");
  Frame frame;
  bool text_seen = false;
  const Json& list = fields.array("single");
  for (std::size_t i = 0; i < list.size(); ++i) {
    Fields item(list[i], element(fields, "single", i));
    if (const Json* sequence = item.find("Sequence")) {
      Fields inner(*sequence, item.place("Sequence"));
      if (inner.text("id") != "A" || text_seen) {
        fail(ErrorCode::bad_data, "{}: sequence A is expected exactly once", item.where());
      }
      text_seen = true;
    } else {
      Fields inner(item.at("SpecialToken"), item.place("SpecialToken"));
      const std::string name = inner.text("id");
      const auto found = special.find(name);
      if (found == special.end()) {
        fail(ErrorCode::bad_data, "{}: '{}' is not in special_tokens", inner.place("id"),
             base::printable(name));
      }
      auto& side = text_seen ? frame.suffix : frame.prefix;
      side.insert(side.end(), found->second.begin(), found->second.end());
    }
    item.finish();
  }
  if (!text_seen) fail(ErrorCode::bad_data, "{} has no sequence A", fields.place("single"));
  return frame;
}

TokenId read_pair_id(Fields& fields, const std::string& key, std::size_t size) {
  const Json& pair = fields.array(key);
  if (pair.size() != 2) fail(ErrorCode::bad_data, "{}: not [token, id]", fields.place(key));
  const std::int64_t id = as_integer(pair[1], fields.place(key));
  if (id < 0 || static_cast<std::uint64_t>(id) >= size) {
    fail(ErrorCode::bad_data, "{}: id {} is not in the vocabulary of {}", fields.place(key), id,
         size);
  }
  return static_cast<TokenId>(id);
}

void add_post_processor(const Json& part, std::size_t size, const std::string& where, int depth,
                        Frame& out) {
  check_depth(depth, where);
  Fields fields(part, where);
  const std::string type = fields.text("type");
  Frame inner;
  if (type == "Sequence") {
    const Json& list = fields.array("processors");
    for (std::size_t i = 0; i < list.size(); ++i) {
      add_post_processor(list[i], size, element(fields, "processors", i), depth + 1, out);
    }
  } else if (type == "TemplateProcessing") {
    inner = read_template(fields, size);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    inner.prefix.push_back(read_pair_id(fields, "cls", size));
    inner.suffix.push_back(read_pair_id(fields, "sep", size));
    for (const char* key : {"trim_offsets", "add_prefix_space"}) fields.ignore(key);
  } else if (type == "ByteLevel") {  // offsets only
    for (const char* key : {"trim_offsets", "add_prefix_space", "use_regex"}) fields.ignore(key);
  } else {
    refuse_type(fields, type,
                "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and Sequence of "
                "these");
  }
  fields.finish();
  out.prefix.insert(out.prefix.begin(), inner.prefix.begin(), inner.prefix.end());
  out.suffix.insert(out.suffix.end(), inner.suffix.begin(), inner.suffix.end());
}

}  // namespace

Normalizer read_normalizer(const Json& part, const std::string& where) {
  Normalizer out;
  if (!part.is_null()) add_normalizer(part, where, 0, out);
  return out;
}

PreTokenizerPart read_pre_tokenizer(const Json& part, const std::string& where) {
  PreTokenizerPart out;
  if (!part.is_null()) add_pre_tokenizer(part, where, 0, out);
  return out;
}

Frame read_post_processor(const Json& part, std::size_t size, const std::string& where) {
  Frame out;
  if (!part.is_null()) add_post_processor(part, size, where, 0, out);
  return out;
}

Decoder read_decoder(const Json& part, const std::string& where) {
  if (part.is_null()) return SpaceDecoder{};
  Fields fields(part, where);
  const std::string type = fields.text("type");
  Decoder out;
  if (type == "ByteLevel") {
    for (const char* key : {"trim_offsets", "add_prefix_space", "use_regex"}) fields.ignore(key);
    out = ByteLevelDecoder{};
  } else if (type == "WordPiece") {
    WordPieceDecoder decoder;
    decoder.prefix = fields.text("prefix", "##");
    decoder.cleanup = fields.boolean("cleanup", true);
    out = decoder;
  } else {
    refuse_type(fields, type, "ByteLevel and WordPiece");
  }
  fields.finish();
  return out;
}

}  // namespace assay::text
