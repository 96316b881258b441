#include <algorithm>

#include "text/chat/operators.h"
#include "text/chat/python_text.h"
#include "text/unicode.h"

namespace assay::text::chat {
namespace {

/// repr(), as containers show their items.
void show(Run& run, const Value& value, std::string& out) {
  run.charge();
  if (const std::string* text = value.text()) {
    run.charge_text(text->size());
    return run.append(out, quoted_text(*text));
  }
  if (value.is_undefined()) return run.append(out, "Undefined");
  print(run, value, out);
}

void print_items(Run& run, const std::vector<Value>& items, std::string_view open,
                 std::string_view close, std::string& out) {
  run.append(out, open);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i != 0) run.append(out, ", ");
    show(run, items[i], out);
  }
  run.append(out, close);
}

void print_sequence(Run& run, const Value& value, std::string& out) {
  const Sequence& list = *value.sequence();
  switch (list.flavor) {
    case Flavor::list:
      return print_items(run, list.items, "[", "]", out);
    case Flavor::tuple:
      return print_items(run, list.items, "(", list.items.size() == 1 ? ",)" : ")", out);
    case Flavor::range:
      run.fail("a range cannot be printed; make it a list");
    default:
      break;
  }
  run.append(out, value.type_name());
  print_items(run, list.items, "([", "])", out);
}

void print_dict(Run& run, const Dict& dict, std::string& out) {
  run.append(out, "{");
  for (std::size_t i = 0; i < dict.entries.size(); ++i) {
    if (i != 0) run.append(out, ", ");
    show(run, dict.entries[i].first, out);
    run.append(out, ": ");
    show(run, dict.entries[i].second, out);
  }
  run.append(out, "}");
}

class JsonWriter {
 public:
  JsonWriter(Run& run, const JsonStyle& style) : run_(run), style_(style) {}

  void write(const Value& value) {
    run_.charge();
    if (value.is_none()) return put("null");
    if (value.is_bool()) return put(*value.boolean() ? "true" : "false");
    if (value.is_integer()) return put(std::to_string(*value.integer()));
    if (value.is_real()) return put(number(*value.real()));
    if (value.is_text()) return text(*value.text());
    if (value.dict() != nullptr) return dict(*value.dict());
    const bool list = value.is_sequence(Flavor::list) || value.is_sequence(Flavor::tuple);
    if (!list) run_.fail("{} cannot be written as JSON", value.type_name());
    const auto& items = value.sequence()->items;
    if (items.empty()) return put("[]");
    put("[");
    ++depth_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0);
      write(items[i]);
    }
    --depth_;
    line();
    put("]");
  }

  std::string take() { return std::move(out_); }

 private:
  void put(std::string_view piece) { run_.append(out_, piece); }

  static std::string number(double value) {
    if (value != value) return "NaN";
    const std::string shown = real_text(value);
    return shown == "inf" ? "Infinity" : shown == "-inf" ? "-Infinity" : shown;
  }

  void line() {
    if (!style_.multiline) return;
    put("\n");
    for (int i = 0; i < depth_; ++i) put(style_.indent);
  }
  void separate(bool first) {
    if (!first) put(style_.item_separator);
    line();
  }

  void text(const std::string& value) {
    run_.charge_text(value.size());
    put("\"");
    for (std::size_t at = 0; at < value.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(value, at);
      constexpr std::u32string_view kShort = U"\"\\\b\f\n\r\t";
      const std::size_t escape = kShort.find(c);
      if (escape != std::u32string_view::npos) {
        const char pair[] = {'\\', "\"\\bfnrt"[escape]};
        put({pair, 2});
      } else if (c < 0x20 || (style_.ascii && c > 0x7E)) {
        unicode_escape(c);
      } else {
        put(std::string_view(value).substr(begin, at - begin));
      }
    }
    put("\"");
  }
  void unicode_escape(char32_t c) {
    const auto code = static_cast<std::uint32_t>(c);
    if (code < 0x10000) return put(fmt::format("\\u{:04x}", code));
    const std::uint32_t rest = code - 0x10000;
    put(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF)));
  }

  std::string key_text(const Value& key) {
    if (key.is_text()) return *key.text();
    if (key.is_none()) return "null";
    if (key.is_bool()) return *key.boolean() ? "true" : "false";
    return key.is_real() ? number(*key.real()) : std::to_string(*key.integer());
  }

  void dict(const Dict& value) {
    if (value.entries.empty()) return put("{}");
    std::vector<const Dict::Entry*> entries;
    for (const auto& entry : value.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return less(run_, a->first, b->first);
      });
    }
    put("{");
    ++depth_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      separate(i == 0);
      text(key_text(entries[i]->first));
      put(style_.key_separator);
      write(entries[i]->second);
    }
    --depth_;
    line();
    put("}");
  }

  Run& run_;
  const JsonStyle& style_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

void print(Run& run, const Value& value, std::string& out) {
  run.charge();
  if (value.is_undefined()) return;
  if (value.is_none()) return run.append(out, "None");
  if (value.is_bool()) return run.append(out, *value.boolean() ? "True" : "False");
  if (value.is_integer()) return run.append(out, std::to_string(*value.integer()));
  if (value.is_real()) return run.append(out, real_text(*value.real()));
  if (const std::string* text = value.text()) {
    run.charge_text(text->size());
    return run.append(out, *text);
  }
  if (value.sequence() != nullptr) return print_sequence(run, value, out);
  if (value.dict() != nullptr) return print_dict(run, *value.dict(), out);
  run.fail("a {} cannot be printed", value.type_name());
}

std::string printed(Run& run, const Value& value) {
  if (value.is_text()) return *value.text();
  std::string out;
  print(run, value, out);
  return out;
}

std::string to_json(Run& run, const Value& value, const JsonStyle& style) {
  JsonWriter writer(run, style);
  writer.write(value);
  return writer.take();
}

}  // namespace assay::text::chat
