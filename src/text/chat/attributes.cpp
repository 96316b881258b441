#include <algorithm>
#include <optional>

#include "text/chat/functions.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

Value missing(const Value& value, std::string_view name) {
  return Value::undefined(fmt::format("a {} has no attribute '{}'", value.type_name(), name));
}

Value loop_attribute(Loop& loop, std::string_view name) {
  const auto index0 = static_cast<std::int64_t>(loop.index0);
  if (name == "index0") return index0;
  if (name == "index") return index0 + 1;
  if (name == "first") return index0 == 0;
  if (name == "last") return !loop.has(loop.index0 + 1);
  if (name == "length") return loop.length();
  if (name == "revindex0") return loop.length() - index0 - 1;
  if (name == "revindex") return loop.length() - index0;
  if (name == "depth0") return loop.depth0;
  if (name == "depth") return loop.depth0 + 1;
  if (name == "previtem") {
    if (index0 == 0) return Value::undefined("there is no previous item");
    return loop.items[loop.index0 - 1];
  }
  if (name == "nextitem") {
    if (!loop.has(loop.index0 + 1)) return Value::undefined("there is no next item");
    return loop.items[loop.index0 + 1];
  }
  return Value::undefined(fmt::format("loop has no attribute '{}'", name));
}

/// What value.name is besides an item of that name.
std::optional<Value> own_attribute(const Value& value, std::string_view name) {
  if (Loop* loop = value.loop(); loop != nullptr && name != "cycle" && name != "changed") {
    return loop_attribute(*loop, name);
  }
  if (const Namespace* names = value.names()) {
    const auto found = names->values.find(std::string(name));
    if (found == names->values.end()) return std::nullopt;
    return found->second;
  }
  switch (method_of(value, name)) {
    case Method::none:
      return std::nullopt;
    case Method::known:
      return function_named(std::string(name), value);
    default:
      return Value::undefined(
          fmt::format("{}.{} would change a value, which is not allowed", value.type_name(), name));
  }
}

/// A position in 0 .. size, counted from the end where it is negative.
std::optional<std::int64_t> bound(Run& run, const Value& value) {
  if (value.is_none()) return std::nullopt;
  if (value.is_bool()) return static_cast<std::int64_t>(*value.boolean());
  if (!value.is_integer()) {
    if (value.is_undefined()) run.fail("{}", value.why());
    run.fail("slices take integers, not {}", value.type_name());
  }
  return *value.integer();
}

struct Slice {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t step;
};

/// Python's slice.indices().
Slice resolve(Run& run, const Value& begin, const Value& end, const Value& step,
              std::int64_t size) {
  Slice slice{0, size, bound(run, step).value_or(1)};
  if (slice.step == 0) run.fail("a slice's step cannot be 0");
  slice.step = std::clamp<std::int64_t>(slice.step, -size - 1, size + 1);
  const bool back = slice.step < 0;
  const auto limited = [&](std::optional<std::int64_t> given, std::int64_t otherwise) {
    if (!given) return otherwise;
    const std::int64_t from_start = *given < 0 ? std::max(*given, -size - 1) + size : *given;
    return std::clamp<std::int64_t>(from_start, back ? -1 : 0, back ? size - 1 : size);
  };
  slice.begin = limited(bound(run, begin), back ? size - 1 : 0);
  slice.end = limited(bound(run, end), back ? -1 : size);
  return slice;
}

Value text_slice(Run& run, const std::string& text, const Slice& slice) {
  run.charge_text(text.size());
  if (slice.step == 1) {
    const std::size_t begin = offset_of(text, static_cast<std::size_t>(slice.begin));
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(slice.end - slice.begin, 0));
    return run.text(text.substr(begin, offset_of(std::string_view(text).substr(begin), count)));
  }
  std::vector<std::size_t> starts;
  run.charge(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  std::string out;
  for (std::int64_t i = slice.begin; slice.step < 0 ? i > slice.end : i < slice.end;
       i += slice.step) {
    const auto at = static_cast<std::size_t>(i);
    out.append(text, starts[at], starts[at + 1] - starts[at]);
  }
  return run.text(std::move(out));
}

}  // namespace

Value attribute_of(Run& run, const Value& value, std::string_view name) {
  if (value.is_undefined()) run.fail("{}", value.why());
  if (auto own = own_attribute(value, name)) return *std::move(own);
  if (const Dict* dict = value.dict()) {
    if (const Value* found = dict->find(name)) return *found;
  }
  return missing(value, name);
}

Value item_of(Run& run, const Value& value, const Value& index) {
  if (value.is_undefined()) run.fail("{}", value.why());
  charge_key(run, index);
  if (const Dict* dict = value.dict()) {
    if (const Value* found = dict->find(index)) return *found;
  }
  if (index.is_integer() || index.is_bool()) {
    std::int64_t at =
        index.is_bool() ? static_cast<std::int64_t>(*index.boolean()) : *index.integer();
    const bool indexed = value.is_text() || value.is_sequence(Flavor::list) ||
                         value.is_sequence(Flavor::tuple) || value.is_sequence(Flavor::range);
    const std::int64_t size = indexed ? size_of(run, value) : 0;
    if (at < 0 && at >= -size) at += size;
    if (at >= 0 && at < size) {
      const auto position = static_cast<std::size_t>(at);
      if (!value.is_text()) return value.sequence()->items[position];
      const std::string_view text = *value.text();
      const std::string_view rest = text.substr(offset_of(text, position));
      return run.text(std::string(rest.substr(0, offset_of(rest, 1))));
    }
    return Value::undefined(fmt::format("a {} has no item {}", value.type_name(), at));
  }
  if (!index.is_text()) {
    return Value::undefined(
        fmt::format("a {} has no item of type {}", value.type_name(), index.type_name()));
  }
  if (value.names() == nullptr && value.loop() == nullptr) {
    if (auto own = own_attribute(value, *index.text())) return *std::move(own);
  }
  return missing(value, *index.text());
}

Value slice_of(Run& run, const Value& value, const Value& begin, const Value& end,
               const Value& step) {
  if (value.is_undefined()) run.fail("{}", value.why());
  const Sequence* list = value.sequence();
  const bool sliced =
      list != nullptr && (list->flavor == Flavor::list || list->flavor == Flavor::tuple ||
                          list->flavor == Flavor::range);
  if (!value.is_text() && !sliced) {
    return Value::undefined(fmt::format("a {} cannot be sliced", value.type_name()));
  }
  const Slice slice = resolve(run, begin, end, step, size_of(run, value));
  if (value.is_text()) return text_slice(run, *value.text(), slice);
  std::vector<Value> items;
  for (std::int64_t i = slice.begin; slice.step < 0 ? i > slice.end : i < slice.end;
       i += slice.step) {
    items.push_back(list->items[static_cast<std::size_t>(i)]);
  }
  return run.list(std::move(items), list->flavor);
}

}  // namespace assay::text::chat
