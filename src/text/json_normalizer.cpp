#include "text/json_details.h"
#include "text/json_parts.h"

namespace assay::text {
namespace {

Precompiled read_precompiled(Fields& fields) {
  const std::string where = fields.place("precompiled_charsmap");
  const std::string bytes = decode_base64(fields.text("precompiled_charsmap"), where);
  return {std::make_shared<const CharacterMap>(bytes, where)};
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
  } else if (type == "StripAccents") {
    out.emplace_back(StripAccents{});
  } else if (type == "Nmt") {
    out.emplace_back(Nmt{});
  } else if (type == "Precompiled") {
    out.emplace_back(read_precompiled(fields));
  } else if (type == "Prepend") {
    out.emplace_back(Prepend{fields.text("prepend")});
  } else if (type == "Replace") {
    Replacement step = read_pattern(fields);
    step.content = fields.text("content");
    out.emplace_back(std::move(step));
  } else if (type == "Strip") {
    out.emplace_back(
        StripSpaces{fields.boolean("strip_left", true), fields.boolean("strip_right", true)});
  } else {
    refuse_type(
        fields, type,
        "BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, "
        "Strip, StripAccents and Sequence of these");
  }
  fields.finish();
}

}  // namespace

Normalizer read_normalizer(const Json& part, const std::string& where) {
  Normalizer out;
  if (!part.is_null()) add_normalizer(part, where, 0, out);
  return out;
}

}  // namespace assay::text
