#include "text/chat/filters.h"
#include "text/chat/functions.h"
#include "text/chat/operators.h"

namespace assay::text::chat {
namespace {

/// The arguments behind the first `count`.
Arguments rest_of(const Arguments& arguments, std::size_t count) {
  Arguments rest;
  if (arguments.positional.size() > count) {
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                           arguments.positional.end());
  }
  rest.named = arguments.named;
  return rest;
}

const std::string& name_in(Run& run, const Value& value, std::string_view what) {
  if (!value.is_text()) run.fail("the name of a {} is a string, not {}", what, value.type_name());
  return *value.text();
}

template <bool keep, bool by_attribute>
Value select(Run& run, const Value& value, const Arguments& arguments) {
  std::vector<Value> out;
  const std::size_t test = by_attribute ? 1 : 0;
  const auto& given = arguments.positional;
  if (truth(value)) {
    if (given.size() < test) run.fail("the name of an attribute is missing");
    const Arguments rest = rest_of(arguments, test + 1);
    for (const Value& item : items_of(run, value)) {
      const Value tested = by_attribute ? at_path(run, item, given.data()) : item;
      const bool passed = given.size() > test
                              ? call_test(run, name_in(run, given[test], "test"), tested, rest)
                              : truth(tested);
      if (passed == keep) out.push_back(item);
    }
  }
  return run.iterator(std::move(out));
}

Value map(Run& run, const Value& value, const Arguments& arguments) {
  std::vector<Value> out;
  if (!truth(value)) return run.iterator(std::move(out));
  if (arguments.positional.empty()) {
    const Bound bound(run, "map", arguments, {"attribute", "default"});
    const Value& path = bound.at(0);
    for (const Value& item : items_of(run, value)) {
      Value found = at_path(run, item, &path);
      if (found.is_undefined() && bound.given(1) != nullptr) found = *bound.given(1);
      out.push_back(std::move(found));
    }
    return run.iterator(std::move(out));
  }
  const std::string& name = name_in(run, arguments.positional[0], "filter");
  const Arguments rest = rest_of(arguments, 1);
  for (const Value& item : items_of(run, value)) {
    const Run::Level level(run);
    out.push_back(call_filter(run, name, item, rest));
  }
  return run.iterator(std::move(out));
}

constexpr FilterRow kSelectingFilters[] = {{"select", select<true, false>},
                                           {"reject", select<false, false>},
                                           {"selectattr", select<true, true>},
                                           {"rejectattr", select<false, true>},
                                           {"map", map}};

}  // namespace

std::span<const FilterRow> selecting_filters() { return kSelectingFilters; }

}  // namespace assay::text::chat
