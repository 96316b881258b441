#include <algorithm>
#include <cmath>

#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

/// "[[fill]align][0][width][.precision]type", of a % conversion or a {} field.
struct Spec {
  std::string fill = " ";
  char align = '\0';
  bool plus = false;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = 's';
};

std::int64_t number(std::string_view text, std::size_t& at) {
  std::int64_t value = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    value = std::min<std::int64_t>(value * 10 + (text[at] - '0'), 1 << 30);
  }
  return value;
}

std::string converted(Run& run, const Value& value, const Spec& spec) {
  if (value.is_undefined() && spec.type != 's' && spec.type != 'r') run.fail("{}", value.why());
  const bool fixed = spec.type == 'f' || spec.type == 'F';
  if (spec.type == 's' || spec.type == 'r') {
    std::string text;
    if (spec.type == 'r' && value.is_text()) {
      text = quoted_text(*value.text());
    } else {
      text = printed(run, value);
    }
    if (spec.precision >= 0) text.resize(offset_of(text, static_cast<std::size_t>(spec.precision)));
    return text;
  }
  if (!value.is_number()) run.fail("a number is needed to be formatted, not {}", value.type_name());
  if (fixed) {
    if (spec.precision > 100) run.fail("a precision over 100 is not supported");
    const double real =
        value.is_real() ? *value.real()
                        : static_cast<double>(
                              *arithmetic(run, Operator::add, std::int64_t{0}, value).integer());
    return fmt::format("{:.{}f}", real, spec.precision < 0 ? 6 : static_cast<int>(spec.precision));
  }
  std::int64_t integer = 0;
  if (value.is_real()) {
    if (!(std::fabs(*value.real()) < 9.2e18)) run.fail("the number is too large to be formatted");
    integer = static_cast<std::int64_t>(*value.real());
  } else {
    integer = value.is_bool() ? static_cast<std::int64_t>(*value.boolean()) : *value.integer();
  }
  if (spec.type == 'x') return fmt::format("{:x}", integer);
  if (spec.type == 'X') return fmt::format("{:X}", integer);
  return std::to_string(integer);
}

void put(Run& run, const Value& value, const Spec& spec, std::string& out) {
  if (std::string_view("srdifFxX").find(spec.type) == std::string_view::npos) {
    run.fail("the format conversion '{}' is not supported", spec.type);
  }
  std::string text = converted(run, value, spec);
  const bool numeric = spec.type != 's' && spec.type != 'r';
  if (numeric && spec.plus && text[0] != '-') text.insert(0, 1, '+');
  const auto length = static_cast<std::int64_t>(length_of(text));
  const auto missing = static_cast<std::size_t>(std::max<std::int64_t>(spec.width - length, 0));
  run.check_text(out.size() + text.size() + missing * spec.fill.size());
  const std::size_t left = spec.align == '>' ? missing : spec.align == '^' ? missing / 2 : 0;
  if (spec.align == '=') {
    const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
    text.insert(sign ? 1 : 0, std::string(missing, spec.fill[0]));
    return run.append(out, text);
  }
  for (std::size_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (std::size_t i = left; i < missing; ++i) out += spec.fill;
}

/// What stands behind '%', up to the type; `at` moves behind it.
Spec percent_spec(Run& run, std::string_view format, std::size_t& at) {
  Spec spec;
  spec.align = '>';
  for (; at < format.size() && std::string_view("-+0 #").find(format[at]) != std::string_view::npos;
       ++at) {
    if (format[at] == '-') spec.align = '<';
    if (format[at] == '+') spec.plus = true;
    if (format[at] == '0' && spec.align != '<') spec.align = '=', spec.fill = "0";
    if (format[at] == ' ' || format[at] == '#') run.fail("this format flag is not supported");
  }
  spec.width = number(format, at);
  if (at < format.size() && format[at] == '.') spec.precision = number(format, ++at);
  if (at == format.size()) run.fail("the format ends within a conversion");
  spec.type = format[at++];
  if (spec.align == '=' && (spec.type == 's' || spec.type == 'r'))
    spec.align = '>', spec.fill = " ";
  return spec;
}

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

Spec brace_spec(Run& run, std::string_view text, const Value& value) {
  Spec spec;
  const bool numeric = value.is_number() && !value.is_bool();
  spec.type = value.is_integer() ? 'd' : 's';
  spec.align = numeric ? '>' : '<';
  std::size_t at = offset_of(text, 1);
  if (at < text.size() && is_align(text[at])) {
    spec.fill = std::string(text.substr(0, at));
    spec.align = text[at++];
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
  } else {
    at = 0;
  }
  if (at < text.size() && text[at] == '+') spec.plus = true, ++at;
  if (at < text.size() && text[at] == '0' && numeric) spec.align = '=', spec.fill = "0", ++at;
  spec.width = number(text, at);
  if (at < text.size() && text[at] == '.') spec.precision = number(text, ++at);
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) run.fail("the format '{}' is not supported", text);
  return spec;
}

class BraceFormat {
 public:
  BraceFormat(Run& run, const Arguments& arguments) : run_(run), arguments_(arguments) {}

  void field(std::string_view text, std::string& out) {
    const std::size_t colon = text.find(':');
    std::string_view name = text.substr(0, colon);
    const std::string_view spec =
        colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    if (name.find_first_of(".[!") != std::string_view::npos ||
        spec.find('{') != std::string_view::npos) {
      run_.fail("the format field '{}' is not supported", text);
    }
    const Value& value = argument(name);
    put(run_, value, brace_spec(run_, spec, value), out);
  }

 private:
  const Value& argument(std::string_view name) {
    std::size_t index = next_;
    if (name.empty()) {
      ++next_;
    } else if (name[0] >= '0' && name[0] <= '9') {
      std::size_t at = 0;
      index = static_cast<std::size_t>(number(name, at));
    } else {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      run_.fail("the format names '{}', which is not given", name);
    }
    if (index >= arguments_.positional.size()) run_.fail("the format needs more values");
    return arguments_.positional[index];
  }

  Run& run_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
};

}  // namespace

Value percent_format(Run& run, const std::string& format, const Value& values) {
  const bool tuple = values.is_sequence(Flavor::tuple);
  std::vector<Value> single;
  if (!tuple) single.push_back(values);
  const auto& given = tuple ? values.sequence()->items : single;
  std::string out;
  std::size_t used = 0;
  bool mapped = false;
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t percent = std::min(format.find('%', at), format.size());
    run.append(out, std::string_view(format).substr(at, percent - at));
    at = percent + 1;
    if (percent == format.size()) break;
    const Value* value = nullptr;
    if (at < format.size() && format[at] == '(') {
      const std::size_t close = format.find(')', at);
      if (close == std::string::npos || values.dict() == nullptr) {
        run.fail("a named format conversion needs a dict");
      }
      value = values.dict()->find(std::string_view(format).substr(at + 1, close - at - 1));
      if (value == nullptr) run.fail("the format names a key that is not there");
      mapped = true;
      at = close + 1;
    }
    const Spec spec = percent_spec(run, format, at);
    if (spec.type == '%') {
      run.append(out, "%");
      continue;
    }
    if (value == nullptr) {
      if (used == given.size()) run.fail("the format needs more values");
      value = &given[used++];
    }
    put(run, *value, spec, out);
  }
  if (used < given.size() && !mapped && (tuple || values.dict() == nullptr)) {
    run.fail("the format does not use all values");
  }
  return run.text(std::move(out));
}

Value brace_format(Run& run, const std::string& format, const Arguments& arguments) {
  BraceFormat fields(run, arguments);
  std::string out;
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t brace = std::min(format.find_first_of("{}", at), format.size());
    run.append(out, std::string_view(format).substr(at, brace - at));
    at = brace;
    if (at == format.size()) break;
    if (at + 1 < format.size() && format[at + 1] == format[at]) {
      run.append(out, std::string_view(format).substr(at, 1));
      at += 2;
      continue;
    }
    const std::size_t close = format.find('}', at);
    if (format[at] == '}' || close == std::string::npos) run.fail("a brace of the format is alone");
    fields.field(std::string_view(format).substr(at + 1, close - at - 1), out);
    at = close + 1;
  }
  return run.text(std::move(out));
}

}  // namespace assay::text::chat
