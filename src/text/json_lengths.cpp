// `truncation` and `padding` of a tokenizer.json.
#include <limits>

#include "base/io.h"
#include "text/json_fields.h"
#include "text/json_parts.h"

namespace assay::text {
namespace {

/// No text is padded to more: a file's number must not cost memory.
constexpr std::int64_t kMostPadding = std::int64_t{1} << 16;
/// "No limit" is written as numbers of this size.
constexpr std::int64_t kMostLength = std::numeric_limits<std::int64_t>::max();

std::size_t count(Fields& fields, const char* key, std::int64_t otherwise, std::int64_t most) {
  const std::int64_t value = fields.integer(key, otherwise);
  if (value < 0 || value > most) {
    fail(ErrorCode::bad_data, "{}: {} is not in 0 to {}", fields.place(key), value, most);
  }
  return static_cast<std::size_t>(value);
}

Side side(Fields& fields) {
  const std::string name = fields.text("direction", "Right");
  if (name != "Left" && name != "Right") {
    fail(ErrorCode::bad_data, "{}: '{}' is neither Left nor Right", fields.place("direction"),
         base::printable(name));
  }
  return name == "Left" ? Side::left : Side::right;
}

LengthRules::Truncation read_truncation(const Json& part, const std::string& where) {
  Fields fields(part, where);
  LengthRules::Truncation result;
  result.where = where;
  (void)fields.at("max_length");
  result.max_length = count(fields, "max_length", 0, kMostLength);
  result.stride = count(fields, "stride", 0, kMostLength);
  result.side = side(fields);
  const std::string strategy = fields.text("strategy", "LongestFirst");
  if (strategy != "LongestFirst" && strategy != "OnlyFirst" && strategy != "OnlySecond") {
    fail(ErrorCode::bad_data, "{}: '{}' is none of LongestFirst, OnlyFirst and OnlySecond",
         fields.place("strategy"), base::printable(strategy));
  }
  result.only_second = strategy == "OnlySecond";
  fields.finish();
  return result;
}

/// "BatchLongest" or {"Fixed": n}.
std::size_t fixed_length(Fields& fields) {
  const Json* strategy = fields.find("strategy");
  if (strategy == nullptr || (strategy->is_string() && *strategy == "BatchLongest")) return 0;
  if (!strategy->is_object()) {
    fail(ErrorCode::bad_data, "{}: BatchLongest or {{\"Fixed\": n}} is expected",
         fields.place("strategy"));
  }
  Fields fixed(*strategy, fields.place("strategy"));
  (void)fixed.at("Fixed");
  const std::size_t length = count(fixed, "Fixed", 0, kMostPadding);
  fixed.finish();
  return length;
}

LengthRules::Padding read_padding(const Json& part, std::size_t size, const std::string& where) {
  Fields fields(part, where);
  LengthRules::Padding result;
  result.fixed = fixed_length(fields);
  // 0 is no multiple to the package, too.
  result.multiple = std::max<std::size_t>(1, count(fields, "pad_to_multiple_of", 0, kMostPadding));
  result.side = side(fields);
  const std::int64_t id = fields.integer("pad_id", 0);
  if (id < 0 || static_cast<std::size_t>(id) >= size) {
    fail(ErrorCode::bad_data, "{}: {} is no token of {}", fields.place("pad_id"), id, size);
  }
  result.id = static_cast<TokenId>(id);
  for (const char* key : {"pad_type_id", "pad_token"}) fields.ignore(key);
  fields.finish();
  return result;
}

}  // namespace

LengthRules read_lengths(const Json& truncation, const Json& padding, std::size_t size,
                         const std::string& where) {
  LengthRules rules;
  if (!truncation.is_null()) rules.truncation = read_truncation(truncation, where + "truncation");
  if (!padding.is_null()) rules.padding = read_padding(padding, size, where + "padding");
  return rules;
}

}  // namespace assay::text
