#include <algorithm>

#include "text/chat/filters.h"
#include "text/chat/functions.h"
#include "text/chat/operators.h"

namespace assay::text::chat {
namespace {

Value length(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "length", arguments, {});
  return size_of(run, value);
}

Value first(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "first", arguments, {});
  if (Iterator* walk = value.iterator()) {
    if (walk->next < walk->items.size()) return walk->items[walk->next++];
  } else {
    std::vector<Value> items = items_of(run, value);
    if (!items.empty()) return items.front();
  }
  return Value::undefined("there is no first item");
}

Value last(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "last", arguments, {});
  if (value.iterator() != nullptr) run.fail("last needs a list; put 'list' before it");
  std::vector<Value> items = items_of(run, value);
  if (!items.empty()) return items.back();
  return Value::undefined("there is no last item");
}

Value list(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "list", arguments, {});
  return run.list(items_of(run, value));
}

Value join(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "join", arguments, {"d", "attribute"});
  const std::string between = bound.find(0) != nullptr ? printed(run, *bound.find(0)) : "";
  std::string out;
  bool begun = false;
  for (const Value& item : items_of(run, value)) {
    if (begun) run.append(out, between);
    print(run, at_path(run, item, bound.given(1)), out);
    begun = true;
  }
  return run.text(std::move(out));
}

Value fallback(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "default", arguments, {"default_value", "boolean"});
  const bool replaced = value.is_undefined() || (bound.flag(1, false) && !truth(value));
  if (!replaced) return value;
  return bound.find(0) != nullptr ? *bound.find(0) : Value("");
}

Value items(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "items", arguments, {});
  std::vector<Value> pairs;
  if (!value.is_undefined()) {
    if (value.dict() == nullptr) run.fail("items needs a dict, not {}", value.type_name());
    for (const auto& [key, item] : value.dict()->entries) {
      pairs.push_back(run.list({key, item}, Flavor::tuple));
    }
  }
  return run.iterator(std::move(pairs));
}

/// A key for sorting: the parts of "a,b", each looked up.
std::vector<Value> sort_keys(Run& run, const Value& value, const Value* attribute, bool cased) {
  std::vector<Value> keys;
  const auto add = [&](const Value* path) {
    const Value key = at_path(run, value, path);
    keys.push_back(cased ? key : without_case(run, key));
  };
  if (attribute == nullptr || !attribute->is_text()) {
    add(attribute);
    return keys;
  }
  const std::string_view text = *attribute->text();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const Value path = text.substr(at, comma - at);
    add(&path);
    at = comma + 1;
  }
  return keys;
}

struct Keyed {
  std::vector<Value> keys;
  Value value;
};

void sort_keyed(Run& run, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& left, const Keyed& right) {
    const Keyed& a = reverse ? right : left;
    const Keyed& b = reverse ? left : right;
    for (std::size_t i = 0; i < a.keys.size(); ++i) {
      const bool final = i + 1 == a.keys.size();
      if (final || !equal(run, a.keys[i], b.keys[i])) return less(run, a.keys[i], b.keys[i]);
    }
    return false;
  });
}

Value values_of(Run& run, std::vector<Keyed> items) {
  std::vector<Value> out;
  out.reserve(items.size());
  for (Keyed& item : items) out.push_back(std::move(item.value));
  return run.list(std::move(out));
}

Value sort(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed;
  for (const Value& item : items_of(run, value)) {
    keyed.push_back({sort_keys(run, item, bound.given(2), bound.flag(1, false)), item});
  }
  sort_keyed(run, keyed, bound.flag(0, false));
  return values_of(run, std::move(keyed));
}

Value dictsort(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (value.dict() == nullptr) run.fail("dictsort needs a dict, not {}", value.type_name());
  const std::string by = bound.find(1) != nullptr ? bound.text(1) : "key";
  if (by != "key" && by != "value") run.fail("dictsort: 'by' is key or value");
  std::vector<Keyed> keyed;
  for (const auto& [key, item] : value.dict()->entries) {
    const Value& sorted = by == "key" ? key : item;
    keyed.push_back({{bound.flag(0, false) ? sorted : without_case(run, sorted)},
                     run.list({key, item}, Flavor::tuple)});
  }
  sort_keyed(run, keyed, bound.flag(2, false));
  return values_of(run, std::move(keyed));
}

Value unique(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "unique", arguments, {"case_sensitive", "attribute"});
  Dict seen_scalars;
  std::vector<Value> seen;
  std::vector<Value> out;
  for (const Value& item : items_of(run, value)) {
    Value key = at_path(run, item, bound.given(1));
    if (!bound.flag(0, false)) key = without_case(run, key);
    if (key.is_text()) {
      if (seen_scalars.find(key) != nullptr) continue;
      seen_scalars.insert(key, None{});
    } else {
      const bool known = std::any_of(seen.begin(), seen.end(),
                                     [&](const Value& old) { return equal(run, old, key); });
      if (known) continue;
      seen.push_back(std::move(key));
    }
    out.push_back(item);
  }
  return run.iterator(std::move(out));
}

template <bool largest>
Value extreme(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const Value* path = bound.given(1);
  Value best = Value::undefined("there is no item");
  Value best_key;
  bool begun = false;
  for (const Value& item : items_of(run, value)) {
    Value key = at_path(run, item, path);
    if (!bound.flag(0, false)) key = without_case(run, key);
    const bool better = !begun || (largest ? less(run, best_key, key) : less(run, key, best_key));
    if (better) {
      best = item;
      best_key = std::move(key);
    }
    begun = true;
  }
  return best;
}

Value sum(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "sum", arguments, {"attribute", "start"});
  Value total = bound.find(1) != nullptr ? *bound.find(1) : Value(std::int64_t{0});
  if (total.is_text()) run.fail("sum cannot add strings; use join");
  for (const Value& item : items_of(run, value)) {
    total = arithmetic(run, Operator::add, total, at_path(run, item, bound.given(0)));
  }
  return total;
}

Value reverse(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "reverse", arguments, {});
  const bool again = value.iterator() != nullptr;
  std::vector<Value> items = items_of(run, value);
  std::reverse(items.begin(), items.end());
  if (value.is_text()) {
    std::string out;
    for (const Value& item : items) out += *item.text();
    return run.text(std::move(out));
  }
  return again ? run.list(std::move(items)) : run.iterator(std::move(items));
}

constexpr FilterRow kListFilters[] = {
    {"length", length},      {"count", length},      {"first", first},       {"last", last},
    {"list", list},          {"join", join},         {"default", fallback},  {"d", fallback},
    {"items", items},        {"sort", sort},         {"dictsort", dictsort}, {"unique", unique},
    {"min", extreme<false>}, {"max", extreme<true>}, {"sum", sum},           {"reverse", reverse}};

}  // namespace

std::span<const FilterRow> list_filters() { return kListFilters; }

}  // namespace assay::text::chat
