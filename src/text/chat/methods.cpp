#include <algorithm>

#include "text/chat/functions.h"
#include "text/chat/operators.h"

namespace assay::text::chat {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value call_dict_method(Run& run, const Value& self, std::string_view name,
                       const Arguments& arguments) {
  const Dict& dict = *self.dict();
  if (name == "get") {
    const Bound bound(run, "get", arguments, {"key", "default"});
    charge_key(run, bound.at(0));
    const Value* found = dict.find(bound.at(0));
    if (found != nullptr) return *found;
    return bound.find(1) != nullptr ? *bound.find(1) : Value(None{});
  }
  (void)Bound(run, name, arguments, {});
  if (name == "copy") return self;
  std::vector<Value> items;
  run.charge(1 + dict.entries.size());
  for (const auto& [key, value] : dict.entries) {
    if (name == "items") {
      items.push_back(run.list({key, value}, Flavor::tuple));
    } else {
      items.push_back(name == "keys" ? key : value);
    }
  }
  const Flavor flavor = name == "items"  ? Flavor::items
                        : name == "keys" ? Flavor::keys
                                         : Flavor::values;
  return run.list(std::move(items), flavor);
}

Value call_list_method(Run& run, const Value& self, std::string_view name,
                       const Arguments& arguments) {
  if (name == "copy") {
    (void)Bound(run, name, arguments, {});
    return self;
  }
  const Bound bound(run, name, arguments, {"value"});
  const auto& items = self.sequence()->items;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!equal(run, items[i], bound.at(0))) continue;
    if (name == "index") return static_cast<std::int64_t>(i);
    ++count;
  }
  if (name == "index") run.fail("index: the value is not in the list");
  return count;
}

Value call_loop_method(Run& run, Loop& loop, std::string_view name, const Arguments& arguments) {
  if (!arguments.named.empty()) run.fail("loop.{} takes no named arguments", name);
  const auto& given = arguments.positional;
  if (name == "cycle") {
    if (given.empty()) run.fail("loop.cycle needs values");
    return given[loop.index0 % given.size()];
  }
  const bool same = loop.was_called && equal(run, run.list(loop.changed), run.list(given));
  loop.was_called = true;
  loop.changed = given;
  return !same;
}

}  // namespace

Method method_of(const Value& value, std::string_view name) {
  if (value.is_text()) return is_text_method(name) ? Method::known : Method::none;
  if (value.loop() != nullptr) {
    return is_one_of(name, {"cycle", "changed"}) ? Method::known : Method::none;
  }
  if (value.dict() != nullptr) {
    if (is_one_of(name, {"get", "items", "keys", "values", "copy"})) return Method::known;
    const bool forbidden =
        is_one_of(name, {"clear", "pop", "popitem", "setdefault", "update", "fromkeys"});
    return forbidden ? Method::forbidden : Method::none;
  }
  const bool list = value.is_sequence(Flavor::list);
  if (!list && !value.is_sequence(Flavor::tuple)) return Method::none;
  if (is_one_of(name, {"index", "count"}) || (list && name == "copy")) return Method::known;
  const bool forbidden =
      is_one_of(name, {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"});
  return list && forbidden ? Method::forbidden : Method::none;
}

Value call_method(Run& run, const Value& self, std::string_view name, const Arguments& arguments) {
  if (self.is_text()) return call_text_method(run, *self.text(), name, arguments);
  if (self.dict() != nullptr) return call_dict_method(run, self, name, arguments);
  if (self.loop() != nullptr) return call_loop_method(run, *self.loop(), name, arguments);
  return call_list_method(run, self, name, arguments);
}

}  // namespace assay::text::chat
