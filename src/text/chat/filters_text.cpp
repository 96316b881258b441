#include "text/chat/filters.h"
#include "text/chat/functions.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

template <Case to>
Value to_case(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "this filter", arguments, {});
  const std::string text = printed(run, value);
  run.charge(text.size() / 4);
  return run.text(change_case(text, to));
}

Value trim(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "trim", arguments, {"chars"});
  return call_text_method(run, printed(run, value), "strip", arguments);
}

Value replace(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "replace", arguments, {"old", "new", "count"});
  Arguments call;
  call.positional = {run.text(printed(run, bound.at(0))), run.text(printed(run, bound.at(1)))};
  if (const Value* count = bound.given(2)) call.positional.push_back(*count);
  return call_text_method(run, printed(run, value), "replace", call);
}

Value string(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "string", arguments, {});
  return value.is_text() ? value : run.text(printed(run, value));
}

Value indent(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "indent", arguments, {"width", "first", "blank"});
  if (!value.is_text()) run.fail("indent needs a string, not {}", value.type_name());
  std::string indention;
  if (bound.find(0) != nullptr && bound.find(0)->is_text()) {
    indention = bound.text(0);
  } else {
    const auto width = static_cast<std::size_t>(std::max<std::int64_t>(bound.integer(0, 4), 0));
    run.check_text(width);
    run.charge_text(width);
    indention.assign(width, ' ');
  }
  const bool blank = bound.flag(2, false);
  const std::string text = *value.text() + "\n";
  std::string out = bound.flag(1, false) ? indention : "";
  bool begun = false;
  for (const std::string_view line : split_lines(text)) {
    if (begun) {
      run.append(out, "\n");
      if (blank || !line.empty()) run.append(out, indention);
    }
    run.append(out, line);
    begun = true;
  }
  return run.text(std::move(out));
}

Value tojson(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "tojson", arguments,
                    {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.flag(0, false);
  style.sort_keys = bound.flag(3, false);
  if (const Value* indent = bound.given(1)) {
    style.multiline = true;
    style.item_separator = ",";
    if (indent->is_text()) {
      style.indent = *indent->text();
    } else {
      const auto width = static_cast<std::size_t>(std::max<std::int64_t>(bound.integer(1, 0), 0));
      run.check_text(width);
      run.charge_text(width);
      style.indent.assign(width, ' ');
    }
  }
  if (const Value* separators = bound.given(2)) {
    const std::vector<Value> parts = items_of(run, *separators);
    if (parts.size() != 2 || !parts[0].is_text() || !parts[1].is_text()) {
      run.fail("tojson: 'separators' must be two strings");
    }
    style.item_separator = *parts[0].text();
    style.key_separator = *parts[1].text();
  }
  return run.text(to_json(run, value, style));
}

Value format(Run& run, const Value& value, const Arguments& arguments) {
  if (!arguments.named.empty()) run.fail("format takes no named arguments here");
  return percent_format(run, printed(run, value), run.list(arguments.positional, Flavor::tuple));
}

/// Nothing is escaped here, so nothing has to be marked as safe.
Value safe(Run& run, const Value& value, const Arguments& arguments) {
  return string(run, value, arguments);
}

Value escape(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "escape", arguments, {});
  std::string out;
  for (const char c : printed(run, value)) {
    const std::string_view piece = c == '&'    ? "&amp;"
                                   : c == '<'  ? "&lt;"
                                   : c == '>'  ? "&gt;"
                                   : c == '\'' ? "&#39;"
                                   : c == '"'  ? "&#34;"
                                               : std::string_view(&c, 1);
    run.append(out, piece);
  }
  return run.text(std::move(out));
}

constexpr FilterRow kTextFilters[] = {{"trim", trim},
                                      {"upper", to_case<Case::upper>},
                                      {"lower", to_case<Case::lower>},
                                      {"title", to_case<Case::title_words>},
                                      {"capitalize", to_case<Case::capitalize>},
                                      {"replace", replace},
                                      {"string", string},
                                      {"indent", indent},
                                      {"tojson", tojson},
                                      {"format", format},
                                      {"safe", safe},
                                      {"escape", escape},
                                      {"e", escape}};

}  // namespace

std::span<const FilterRow> text_filters() { return kTextFilters; }

}  // namespace assay::text::chat
