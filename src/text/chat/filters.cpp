#include "text/chat/filters.h"

#include "text/chat/functions.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

const FilterRow* find_filter(std::string_view name) {
  for (const auto rows : {text_filters(), list_filters(), selecting_filters(), number_filters()}) {
    for (const FilterRow& row : rows) {
      if (row.name == name) return &row;
    }
  }
  return nullptr;
}

}  // namespace

Value at_path(Run& run, const Value& value, const Value* path) {
  if (path == nullptr) return value;
  if (!path->is_text()) return item_of(run, value, *path);
  Value found = value;
  const std::string_view text = *path->text();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t dot = std::min(text.find('.', at), text.size());
    const std::string_view part = text.substr(at, dot - at);
    const auto index = part.find_first_not_of("0123456789") == std::string_view::npos
                           ? parse_integer(part, 10)
                           : std::nullopt;
    found = item_of(run, found, index ? Value(static_cast<std::int64_t>(*index)) : Value(part));
    at = dot + 1;
  }
  return found;
}

Value without_case(Run& run, const Value& value) {
  if (!value.is_text()) return value;
  return run.text(change_case(*value.text(), Case::lower));
}

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }

Value call_filter(Run& run, std::string_view name, const Value& value, const Arguments& arguments) {
  run.charge();
  const FilterRow* row = find_filter(name);
  if (row == nullptr) run.fail("there is no filter '{}'", name);
  return row->call(run, value, arguments);
}

}  // namespace assay::text::chat
