#include "text/json_details.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include "base/io.h"
#include "base/utf8.h"

namespace assay::text {
namespace {

constexpr int kDeepest = 16;

}  // namespace

void refuse_type(const Fields& fields, const std::string& type, std::string_view known) {
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

std::string decode_base64(const std::string& text, const std::string& where) {
  std::string out(text.size() / 4 * 3, '\0');
  const int length = text.size() % 4 != 0 || text.size() > (std::size_t{1} << 28)
                         ? -1
                         : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                           reinterpret_cast<const unsigned char*>(text.data()),
                                           static_cast<int>(text.size()));
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (length < 0 || static_cast<std::size_t>(length) != out.size() || padding > out.size()) {
    fail(ErrorCode::bad_data, "{}: {} characters that are no base64", where, text.size());
  }
  out.resize(out.size() - padding);
  return out;
}

Replacement read_pattern(Fields& fields) {
  Fields pattern(fields.at("pattern"), fields.place("pattern"));
  Replacement out;
  if (const Json* literal = pattern.find("String")) {
    out.literal = as_text(*literal, pattern.place("String"));
  } else {
    const std::string source = translate_pattern(pattern.text("Regex"), pattern.place("Regex"));
    out.pattern = std::make_shared<const Regex>(source, pattern.where());
  }
  pattern.finish();
  return out;
}

std::shared_ptr<const Regex> read_regex(Fields& fields) {
  Replacement pattern = read_pattern(fields);
  if (pattern.pattern) return pattern.pattern;
  return std::make_shared<const Regex>(literal_pattern(pattern.literal), fields.place("pattern"));
}

char32_t read_character(Fields& fields, const std::string& key, std::string_view otherwise) {
  const std::string text = fields.text(key, otherwise);
  const auto first = base::decode_utf8(text);
  if (first.length == 0 || static_cast<std::size_t>(first.length) != text.size()) {
    fail(ErrorCode::bad_data, "{}: one character is expected, not '{}'", fields.place(key),
         base::printable(text));
  }
  return first.code;
}

MetaspaceStep read_metaspace(Fields& fields) {
  MetaspaceStep step;
  step.replacement = read_character(fields, "replacement", "\u2581");
  const bool add = fields.boolean("add_prefix_space", true);
  const std::string scheme = fields.text("prepend_scheme", "always");
  if (scheme == "first") {
    step.prepend = MetaspaceStep::Prepend::first;
  } else if (scheme == "never") {
    step.prepend = MetaspaceStep::Prepend::never;
  } else if (scheme != "always") {
    fail(ErrorCode::bad_data, "{}: '{}' is not always, first or never",
         fields.place("prepend_scheme"), base::printable(scheme));
  }
  if (!add && step.prepend != MetaspaceStep::Prepend::never) {
    if (fields.find("prepend_scheme") != nullptr) {
      fail(ErrorCode::bad_data, "{}: '{}' contradicts add_prefix_space",
           fields.place("prepend_scheme"), scheme);
    }
    step.prepend = MetaspaceStep::Prepend::never;
  }
  step.split = fields.boolean("split", true);
  fields.ignore("str_rep");
  return step;
}

}  // namespace assay::text
