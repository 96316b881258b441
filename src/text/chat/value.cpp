#include "text/chat/value.h"

#include <algorithm>

#include "text/unicode.h"

namespace assay::text::chat {
namespace {

/// Keys that are no text are compared one by one.
constexpr std::size_t kMaxOtherKeys = 1024;

double as_double(const Value& value) {
  if (value.is_bool()) return *value.boolean() ? 1.0 : 0.0;
  return value.is_integer() ? static_cast<double>(*value.integer()) : *value.real();
}

std::int64_t as_integer(const Value& value) {
  return value.is_bool() ? static_cast<std::int64_t>(*value.boolean()) : *value.integer();
}

int deepest(int so_far, const Value& value) { return std::max(so_far, value.nesting() + 1); }

}  // namespace

Value::Value(std::string text) {
  std::string storage;
  const std::string_view valid = valid_utf8(text, storage);
  const bool same = valid.data() == text.data();
  storage_ = std::make_shared<const std::string>(same ? std::move(text) : std::move(storage));
}

Value Value::undefined(std::string why) {
  Value value;
  value.storage_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return value;
}

bool Value::is_sequence(Flavor flavor) const {
  const Sequence* found = sequence();
  return found != nullptr && found->flavor == flavor;
}

const std::string* Value::text() const { return pointer<const std::string>(); }
const Sequence* Value::sequence() const { return pointer<const Sequence>(); }
const Dict* Value::dict() const { return pointer<const Dict>(); }
Iterator* Value::iterator() const { return pointer<Iterator>(); }
Loop* Value::loop() const { return pointer<Loop>(); }
const Function* Value::function() const { return pointer<const Function>(); }

Namespace* Value::names() const {
  const auto* found = std::get_if<Namespace*>(&storage_);
  return found == nullptr ? nullptr : *found;
}

std::string_view Value::why() const {
  const auto* undefined = std::get_if<Undefined>(&storage_);
  return undefined != nullptr && undefined->why ? *undefined->why : std::string_view("undefined");
}

int Value::nesting() const {
  if (const Sequence* list = sequence()) return list->nesting;
  if (const Dict* map = dict()) return map->nesting;
  if (const Function* bound = function()) return bound->self.nesting() + 1;
  const Iterator* walk = iterator();
  if (walk == nullptr) return 0;
  int nesting = 1;
  for (const Value& item : walk->items) nesting = deepest(nesting, item);
  return nesting;
}

std::string_view Value::type_name() const {
  if (const Sequence* list = sequence()) {
    constexpr std::string_view kNames[] = {"list",      "tuple",       "range",
                                           "dict_keys", "dict_values", "dict_items"};
    return kNames[static_cast<std::size_t>(list->flavor)];
  }
  constexpr std::string_view kNames[] = {"Undefined", "NoneType",  "bool",        "int",
                                         "float",     "str",       "list",        "dict",
                                         "generator", "Namespace", "LoopContext", "function"};
  return kNames[storage_.index()];
}

bool same_scalar(const Value& a, const Value& b) {
  if (a.is_text() || b.is_text()) return a.is_text() && b.is_text() && *a.text() == *b.text();
  if (a.is_number() && b.is_number()) {
    if (a.is_real() || b.is_real()) return as_double(a) == as_double(b);
    return as_integer(a) == as_integer(b);
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool Dict::insert(Value key, Value value) {
  if (!key.is_text() && !key.is_number() && !key.is_none()) return false;
  nesting = deepest(nesting, value);
  const std::size_t old = position(key);
  if (old < entries.size()) {
    entries[old].second = std::move(value);
    return true;
  }
  entries.emplace_back(std::move(key), std::move(value));
  const std::size_t at = entries.size() - 1;
  if (const std::string* text = entries.back().first.text()) {
    by_text_.emplace(*text, at);
  } else {
    others_.push_back(at);
  }
  return others_.size() <= kMaxOtherKeys;
}

std::size_t Dict::position(const Value& key) const {
  if (const std::string* text = key.text()) {
    const auto found = by_text_.find(*text);
    return found == by_text_.end() ? entries.size() : found->second;
  }
  for (const std::size_t at : others_) {
    if (same_scalar(entries[at].first, key)) return at;
  }
  return entries.size();
}

const Value* Dict::find(const Value& key) const {
  const std::size_t at = position(key);
  return at < entries.size() ? &entries[at].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = by_text_.find(key);
  return found == by_text_.end() ? nullptr : &entries[found->second].second;
}

bool Loop::has(std::size_t index) {
  while (items.size() <= index) {
    if (!more || !more(items)) return false;
  }
  return true;
}

std::int64_t Loop::length() {
  while (more && more(items)) {
  }
  return static_cast<std::int64_t>(items.size());
}

Value list_of(std::vector<Value> items, Flavor flavor) {
  Sequence sequence;
  for (const Value& item : items) sequence.nesting = deepest(sequence.nesting, item);
  sequence.items = std::move(items);
  sequence.flavor = flavor;
  return std::make_shared<const Sequence>(std::move(sequence));
}

Value function_named(std::string name, Value self) {
  return std::make_shared<const Function>(
      Function{.self = std::move(self), .name = std::move(name)});
}

Value message(std::string_view role, std::string_view content) {
  auto dict = std::make_shared<Dict>();
  dict->insert("role", role);
  dict->insert("content", content);
  return Value::DictRef(std::move(dict));
}

}  // namespace assay::text::chat
