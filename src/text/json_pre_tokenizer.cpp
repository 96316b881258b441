#include "base/io.h"
#include "text/json_details.h"
#include "text/json_parts.h"

namespace assay::text {
namespace {

SplitBehavior behavior_named(const std::string& name, const std::string& where) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  fail(ErrorCode::bad_data, "{}: '{}' is not a behavior", where, base::printable(name));
}

SplitBehavior read_behavior(Fields& fields, std::string_view otherwise) {
  return behavior_named(fields.text("behavior", otherwise), fields.place("behavior"));
}

SplitStep read_split(Fields& fields) {
  SplitStep step;
  step.pattern = read_regex(fields);
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
  Fields fields(part, where);
  const std::string type = fields.text("type");
  // What follows ByteLevel sees the characters that stand for bytes.
  if (out.byte_level && type != "Sequence") {
    out.steps.emplace_back(ByteLevelStep{});
    out.byte_level = false;
  }
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
  } else if (type == "Metaspace") {
    out.steps.emplace_back(read_metaspace(fields));
  } else if (type == "Punctuation") {
    out.steps.emplace_back(PunctuationStep{read_behavior(fields, "Isolated")});
  } else if (type == "Whitespace" || type == "WhitespaceSplit") {
    out.steps.emplace_back(WhiteSpaceStep{type == "Whitespace"});
  } else if (type == "CharDelimiterSplit") {
    out.steps.emplace_back(DelimiterStep{read_character(fields, "delimiter", "")});
  } else {
    refuse_type(fields, type,
                "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, "
                "Split, Whitespace, WhitespaceSplit and Sequence of these");
  }
  fields.finish();
}

}  // namespace

PreTokenizerPart read_pre_tokenizer(const Json& part, const std::string& where) {
  PreTokenizerPart out;
  if (!part.is_null()) add_pre_tokenizer(part, where, 0, out);
  return out;
}

}  // namespace assay::text
