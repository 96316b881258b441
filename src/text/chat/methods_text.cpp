#include <algorithm>

#include "text/chat/functions.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"
#include "text/unicode.h"

namespace assay::text::chat {
namespace {

using Text = const std::string&;

template <bool left, bool right>
Value strip(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "strip", arguments, {"chars"});
  const std::string* chars = bound.given(0) != nullptr ? &bound.text(0) : nullptr;
  if (chars != nullptr && chars->size() > 1024) run.fail("strip of more than 1024 bytes");
  // Every character at the ends is looked for among `chars`.
  run.charge_text(self.size() * (chars == nullptr ? 1 : 1 + chars->size()));
  return run.text(std::string(strip_text(self, chars, left, right)));
}

template <Case to>
Value to_case(Run& run, Text self, const Arguments& arguments) {
  (void)Bound(run, "this method", arguments, {});
  run.charge(self.size() / 4);
  return run.text(change_case(self, to));
}

template <Property property>
Value is(Run& run, Text self, const Arguments& arguments) {
  (void)Bound(run, "this method", arguments, {});
  run.charge_text(self.size());
  return has_property(self, property);
}

template <bool at_start>
Value has_affix(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, at_start ? "startswith" : "endswith", arguments, {"affix"});
  const auto has = [&](const Value& affix) {
    if (!affix.is_text()) run.fail("a prefix or suffix is a string, not {}", affix.type_name());
    run.charge_text(affix.text()->size());
    return at_start ? self.starts_with(*affix.text()) : self.ends_with(*affix.text());
  };
  const Value& affix = bound.at(0);
  if (!affix.is_sequence(Flavor::tuple)) return has(affix);
  const auto& all = affix.sequence()->items;
  return std::any_of(all.begin(), all.end(), has);
}

template <bool at_start>
Value without_affix(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, at_start ? "removeprefix" : "removesuffix", arguments, {"affix"});
  Text affix = bound.text(0);
  const bool there = at_start ? self.starts_with(affix) : self.ends_with(affix);
  if (!there) return run.text(self);
  const std::size_t rest = self.size() - affix.size();
  return run.text(at_start ? self.substr(affix.size()) : self.substr(0, rest));
}

/// Parts around white space, at most `most` cuts (-1: all) from the left or right.
std::vector<Value> split_spaces(Run& run, std::string_view text, std::int64_t most, bool right) {
  std::vector<Value> parts;
  text = strip_text(text, nullptr, !right, right);
  while (!text.empty()) {
    std::string_view part = text;
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      text = {};
    } else if (right) {
      std::size_t begin = text.size();
      while (begin > 0) {
        std::size_t before = begin;
        if (is_python_space(previous_code_point(text, before))) break;
        begin = before;
      }
      part = text.substr(begin);
      text = strip_text(text.substr(0, begin), nullptr, false, true);
    } else {
      std::size_t end = 0;
      while (end < text.size()) {
        std::size_t next = end;
        if (is_python_space(next_code_point(text, next))) break;
        end = next;
      }
      part = text.substr(0, end);
      text = strip_text(text.substr(end), nullptr, true, false);
    }
    parts.push_back(run.text(std::string(part)));
  }
  if (right) std::reverse(parts.begin(), parts.end());
  return parts;
}

/// Parts around `separator`, at most `most` cuts (-1: all).
std::vector<std::string> split_at(std::string_view text, std::string_view separator,
                                  std::int64_t most) {
  std::vector<std::string> parts;
  while (most < 0 || static_cast<std::int64_t>(parts.size()) < most) {
    const std::size_t found = find_text(text, separator);
    if (found == std::string_view::npos) break;
    parts.emplace_back(text.substr(0, found));
    text.remove_prefix(found + separator.size());
  }
  parts.emplace_back(text);
  return parts;
}

/// As split_at, cutting from the right: the same on the text read backwards.
std::vector<std::string> split_at_right(std::string text, std::string separator,
                                        std::int64_t most) {
  std::reverse(text.begin(), text.end());
  std::reverse(separator.begin(), separator.end());
  std::vector<std::string> parts = split_at(text, separator, most);
  for (std::string& part : parts) std::reverse(part.begin(), part.end());
  std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool right>
Value split(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, right ? "rsplit" : "split", arguments, {"sep", "maxsplit"});
  const std::int64_t most = bound.integer(1, -1);
  if (bound.given(0) == nullptr) {
    run.charge_text(self.size());
    return run.list(split_spaces(run, self, most, right));
  }
  Text separator = bound.text(0);
  if (separator.empty()) run.fail("split with an empty separator");
  run.charge_text(self.size());
  std::vector<Value> parts;
  for (std::string& part :
       right ? split_at_right(self, separator, most) : split_at(self, separator, most)) {
    parts.push_back(run.text(std::move(part)));
  }
  return run.list(std::move(parts));
}

Value splitlines(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "splitlines", arguments, {"keepends"});
  if (bound.flag(0, false)) run.fail("splitlines with keepends is not supported");
  std::vector<Value> parts;
  for (const std::string_view line : split_lines(self))
    parts.push_back(run.text(std::string(line)));
  return run.list(std::move(parts));
}

template <bool right>
Value partition(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "partition", arguments, {"sep"});
  Text separator = bound.text(0);
  if (separator.empty()) run.fail("partition with an empty separator");
  run.charge_text(self.size());
  const std::size_t found = right ? rfind_text(self, separator) : find_text(self, separator);
  if (found == std::string::npos) {
    std::vector<Value> parts = {"", "", ""};
    parts[right ? 2 : 0] = run.text(self);
    return run.list(std::move(parts), Flavor::tuple);
  }
  return run.list({run.text(self.substr(0, found)), run.text(separator),
                   run.text(self.substr(found + separator.size()))},
                  Flavor::tuple);
}

Value replace(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "replace", arguments, {"old", "new", "count"});
  Text old = bound.text(0);
  Text fresh = bound.text(1);
  const std::int64_t most = bound.integer(2, -1);
  std::string out;
  std::size_t at = 0;
  run.charge_text(self.size());
  for (std::int64_t done = 0; most < 0 || done < most; ++done) {
    // An empty `old` stands before every character and at the end.
    const std::size_t found = find_text(self, old, at);
    if (found == std::string::npos) break;
    run.append(out, std::string_view(self).substr(at, found - at));
    run.append(out, fresh);
    at = found + old.size();
    if (!old.empty()) continue;
    if (at == self.size()) return run.text(std::move(out));
    const std::size_t end = at + offset_of(std::string_view(self).substr(at), 1);
    run.append(out, std::string_view(self).substr(at, end - at));
    at = end;
  }
  run.append(out, std::string_view(self).substr(at));
  return run.text(std::move(out));
}

Value join(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "join", arguments, {"iterable"});
  std::string out;
  bool begun = false;
  for (const Value& item : items_of(run, bound.at(0))) {
    if (!item.is_text()) run.fail("join needs strings, not {}", item.type_name());
    if (begun) run.append(out, self);
    run.append(out, *item.text());
    begun = true;
  }
  return run.text(std::move(out));
}

template <bool right, bool must>
Value find(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "find", arguments, {"sub"});
  run.charge_text(self.size());
  Text sub = bound.text(0);
  const std::size_t found = right ? rfind_text(self, sub) : find_text(self, sub);
  if (found == std::string::npos) {
    if (must) run.fail("index: the text is not there");
    return std::int64_t{-1};
  }
  return static_cast<std::int64_t>(length_of(std::string_view(self).substr(0, found)));
}

Value count(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "count", arguments, {"sub"});
  Text sub = bound.text(0);
  run.charge_text(self.size());
  std::int64_t found = 0;
  if (sub.empty()) return static_cast<std::int64_t>(length_of(self)) + 1;
  for (std::size_t at = find_text(self, sub); at != std::string::npos;
       at = find_text(self, sub, at + sub.size())) {
    ++found;
  }
  return found;
}

Value zfill(Run& run, Text self, const Arguments& arguments) {
  const Bound bound(run, "zfill", arguments, {"width"});
  const auto length = static_cast<std::int64_t>(length_of(self));
  const auto missing =
      static_cast<std::size_t>(std::max<std::int64_t>(bound.integer(0, 0) - length, 0));
  run.check_text(missing);
  const bool sign = self.starts_with('-') || self.starts_with('+');
  std::string out = self;
  out.insert(sign ? 1 : 0, missing, '0');
  return run.text(std::move(out));
}

Value format(Run& run, Text self, const Arguments& arguments) {
  return brace_format(run, self, arguments);
}

[[noreturn]] Value unsupported(Run& run, Text /*self*/, const Arguments& /*arguments*/) {
  run.fail("this string method is not supported in chat templates");
}

struct TextMethod {
  std::string_view name;
  Value (*call)(Run&, Text, const Arguments&);
};
constexpr TextMethod kMethods[] = {{"strip", strip<true, true>},
                                   {"lstrip", strip<true, false>},
                                   {"rstrip", strip<false, true>},
                                   {"startswith", has_affix<true>},
                                   {"endswith", has_affix<false>},
                                   {"removeprefix", without_affix<true>},
                                   {"removesuffix", without_affix<false>},
                                   {"split", split<false>},
                                   {"rsplit", split<true>},
                                   {"splitlines", splitlines},
                                   {"partition", partition<false>},
                                   {"rpartition", partition<true>},
                                   {"replace", replace},
                                   {"join", join},
                                   {"upper", to_case<Case::upper>},
                                   {"lower", to_case<Case::lower>},
                                   {"title", to_case<Case::title>},
                                   {"capitalize", to_case<Case::capitalize>},
                                   {"find", find<false, false>},
                                   {"rfind", find<true, false>},
                                   {"index", find<false, true>},
                                   {"rindex", find<true, true>},
                                   {"count", count},
                                   {"zfill", zfill},
                                   {"format", format},
                                   {"isalpha", is<Property::alpha>},
                                   {"isdigit", is<Property::digit>},
                                   {"isdecimal", is<Property::digit>},
                                   {"isalnum", is<Property::alphanumeric>},
                                   {"isspace", is<Property::space>},
                                   {"islower", is<Property::lower>},
                                   {"isupper", is<Property::upper>},
                                   {"casefold", unsupported},
                                   {"center", unsupported},
                                   {"encode", unsupported},
                                   {"expandtabs", unsupported},
                                   {"format_map", unsupported},
                                   {"isascii", unsupported},
                                   {"isidentifier", unsupported},
                                   {"isnumeric", unsupported},
                                   {"isprintable", unsupported},
                                   {"istitle", unsupported},
                                   {"ljust", unsupported},
                                   {"maketrans", unsupported},
                                   {"rjust", unsupported},
                                   {"swapcase", unsupported},
                                   {"translate", unsupported}};

const TextMethod* find_method(std::string_view name) {
  const auto* found = std::find_if(std::begin(kMethods), std::end(kMethods),
                                   [&](const TextMethod& row) { return row.name == name; });
  return found == std::end(kMethods) ? nullptr : found;
}

}  // namespace

bool is_text_method(std::string_view name) { return find_method(name) != nullptr; }

Value call_text_method(Run& run, const std::string& self, std::string_view name,
                       const Arguments& arguments) {
  run.charge();
  const TextMethod* row = find_method(name);
  if (row == nullptr) run.fail("a str has no method '{}'", name);
  return row->call(run, self, arguments);
}

}  // namespace assay::text::chat
