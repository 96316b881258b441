#include "text/chat/functions.h"

#include <ctime>

#include "text/chat/operators.h"

namespace assay::text::chat {
namespace {

Value range(Run& run, const Arguments& arguments) {
  const Bound bound(run, "range", arguments, {"start", "stop", "step"});
  const bool one = bound.find(1) == nullptr;
  (void)bound.at(0);
  const std::int64_t begin = one ? 0 : bound.integer(0, 0);
  const std::int64_t end = one ? bound.integer(0, 0) : bound.integer(1, 0);
  const std::int64_t step = bound.integer(2, 1);
  if (step == 0) run.fail("range() with a step of 0");
  std::vector<Value> items;
  std::int64_t at = begin;
  while (step > 0 ? at < end : at > end) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRange) {
      run.fail("range() of more than {} items", kMaxRange);
    }
    items.emplace_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return run.list(std::move(items), Flavor::range);
}

/// Calls `add(key, value)` for what dict() would take.
template <typename Add>
void each_pair(Run& run, std::string_view function, const Arguments& arguments, const Add& add) {
  if (arguments.positional.size() > 1) run.fail("{} takes at most one argument", function);
  for (const Value& given : arguments.positional) {
    if (const Dict* dict = given.dict()) {
      for (const auto& [key, value] : dict->entries) add(key, value);
      continue;
    }
    for (const Value& pair : items_of(run, given)) {
      const std::vector<Value> parts = items_of(run, pair);
      if (parts.size() != 2) run.fail("{} takes pairs, not {} items", function, parts.size());
      add(parts[0], parts[1]);
    }
  }
  for (const auto& [key, value] : arguments.named) add(Value(key), value);
}

Value make_dict(Run& run, const Arguments& arguments) {
  auto dict = std::make_shared<Dict>();
  each_pair(run, "dict", arguments, [&](const Value& key, const Value& value) {
    charge_key(run, key);
    if (!dict->insert(key, value)) run.fail("a {} cannot be a key here", key.type_name());
  });
  return run.dict(std::move(dict));
}

Value make_namespace(Run& run, const Arguments& arguments) {
  Namespace& names = run.make_namespace();
  each_pair(run, "namespace", arguments, [&](const Value& key, const Value& value) {
    run.charge(8);
    if (!key.is_text()) run.fail("a namespace's names are texts, not {}", key.type_name());
    if (key.text()->starts_with('_')) {
      run.fail("a namespace's names cannot begin with an underscore: '{}'", *key.text());
    }
    names.values[*key.text()] = value;
  });
  return &names;
}

Value raise_exception(Run& run, const Arguments& arguments) {
  const Bound bound(run, "raise_exception", arguments, {"message"});
  run.fail("the template refuses this conversation: {}", printed(run, bound.at(0)));
}

/// What strftime itself has no answer for here: microseconds, and the zone of a time without one.
std::string without_extensions(std::string_view format, int microseconds) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char next = format[i] == '%' && i + 1 < format.size() ? format[i + 1] : '\0';
    if (next == '\0') {
      out.push_back(format[i]);
      continue;
    }
    ++i;
    if (next == 'f') {
      out += fmt::format("{:06}", microseconds);
    } else if (next != 'z' && next != 'Z') {
      out += {'%', next};
    }
  }
  return out;
}

Value strftime_now(Run& run, const Arguments& arguments) {
  const Bound bound(run, "strftime_now", arguments, {"format"});
  const auto seconds = std::chrono::floor<std::chrono::seconds>(run.now());
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(run.now() - seconds);
  const std::string format = without_extensions(bound.text(0), static_cast<int>(rest.count()));
  if (format.empty()) return "";
  const std::time_t time = Run::Clock::to_time_t(seconds);
  std::tm parts{};
  if (localtime_r(&time, &parts) == nullptr) run.fail("the clock has no date");
  std::string out(1024 + 4 * std::min<std::size_t>(format.size(), 1 << 16), '\0');
  const std::size_t length = std::strftime(out.data(), out.size(), format.c_str(), &parts);
  if (length == 0) run.fail("the format of strftime_now is too long or gives nothing");
  out.resize(length);
  return run.text(*Value(std::move(out)).text());
}

struct Row {
  std::string_view name;
  Value (*call)(Run&, const Arguments&);
};
constexpr Row kGlobals[] = {{"range", range},
                            {"dict", make_dict},
                            {"namespace", make_namespace},
                            {"raise_exception", raise_exception},
                            {"strftime_now", strftime_now}};

}  // namespace

bool is_global(std::string_view name) {
  for (const Row& row : kGlobals) {
    if (row.name == name) return true;
  }
  return false;
}

Value call_global(Run& run, std::string_view name, const Arguments& arguments) {
  for (const Row& row : kGlobals) {
    if (row.name == name) return row.call(run, arguments);
  }
  run.fail("there is no function '{}'", name);
}

}  // namespace assay::text::chat
