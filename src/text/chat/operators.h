#pragma once

#include "text/chat/ast.h"
#include "text/chat/run.h"

// What Python's operators do with the values of a template. Errors are those of Run::fail.
namespace assay::text::chat {

[[nodiscard]] bool truth(const Value& value);
[[nodiscard]] bool equal(Run& run, const Value& a, const Value& b);
/// Order of numbers, texts and lists; an error for what Python cannot order.
[[nodiscard]] bool less(Run& run, const Value& a, const Value& b);
[[nodiscard]] bool contains(Run& run, const Value& container, const Value& item);
[[nodiscard]] bool compare(Run& run, Operator op, const Value& a, const Value& b);
[[nodiscard]] Value arithmetic(Run& run, Operator op, const Value& a, const Value& b);
[[nodiscard]] Value negative(Run& run, const Value& value);

/// The cost of looking for a key in a dict.
void charge_key(Run& run, const Value& key);

/// len(); an error for what has none.
[[nodiscard]] std::int64_t size_of(Run& run, const Value& value);
/// All items: of a list, the keys of a dict, the characters of a text; walks an iterator to its
/// end.
[[nodiscard]] std::vector<Value> items_of(Run& run, const Value& value);

/// value.name, value[index] and value[begin:end:step] with jinja2's rules; undefined where missing.
[[nodiscard]] Value attribute_of(Run& run, const Value& value, std::string_view name);
[[nodiscard]] Value item_of(Run& run, const Value& value, const Value& index);
[[nodiscard]] Value slice_of(Run& run, const Value& value, const Value& begin, const Value& end,
                             const Value& step);

/// str(), appended to `out`.
void print(Run& run, const Value& value, std::string& out);
[[nodiscard]] std::string printed(Run& run, const Value& value);

struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  bool multiline = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
/// json.dumps().
[[nodiscard]] std::string to_json(Run& run, const Value& value, const JsonStyle& style);

/// text % values and text.format(...); the conversions s, r, d, i, f, x, X and %.
[[nodiscard]] Value percent_format(Run& run, const std::string& format, const Value& values);
[[nodiscard]] Value brace_format(Run& run, const std::string& format, const Arguments& arguments);

}  // namespace assay::text::chat
