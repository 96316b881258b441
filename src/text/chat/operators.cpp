#include "text/chat/operators.h"

#include <cmath>

#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

double as_real(const Value& value) {
  if (value.is_real()) return *value.real();
  if (value.is_bool()) return *value.boolean() ? 1.0 : 0.0;
  return static_cast<double>(*value.integer());
}

std::int64_t as_integer(const Value& value) {
  return value.is_bool() ? static_cast<std::int64_t>(*value.boolean()) : *value.integer();
}

void refuse_undefined(Run& run, const Value& a, const Value& b) {
  if (a.is_undefined()) run.fail("{}", a.why());
  if (b.is_undefined()) run.fail("{}", b.why());
}

constexpr std::string_view sign_of(Operator op) {
  constexpr std::string_view kSigns[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSigns[static_cast<std::size_t>(op)];
}

[[noreturn]] void fail_types(Run& run, Operator op, const Value& a, const Value& b) {
  run.fail("'{}' cannot be applied to {} and {}", sign_of(op), a.type_name(), b.type_name());
}

/// nullopt-like: false where the result leaves 64 bits.
bool integer_power(std::int64_t base, std::int64_t exponent, std::int64_t& result) {
  result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return false;
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return false;
  }
  return true;
}

Value integer_arithmetic(Run& run, Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool fits = true;
  const bool division =
      op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo;
  if (division && b == 0) run.fail("division by zero");
  switch (op) {
    case Operator::add:
      fits = !__builtin_add_overflow(a, b, &result);
      break;
    case Operator::subtract:
      fits = !__builtin_sub_overflow(a, b, &result);
      break;
    case Operator::multiply:
      fits = !__builtin_mul_overflow(a, b, &result);
      break;
    case Operator::divide:
      return static_cast<double>(a) / static_cast<double>(b);
    case Operator::power:
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      // Powers of 0, 1 and -1 never overflow, whatever the exponent.
      fits = integer_power(a, b, result);
      break;
    default:
      if (b == -1) {
        fits = op == Operator::modulo || !__builtin_sub_overflow(std::int64_t{0}, a, &result);
        break;
      }
      result = op == Operator::modulo ? a % b : a / b;
      if (a % b != 0 && (a < 0) != (b < 0)) result += op == Operator::modulo ? b : -1;
  }
  if (!fits) run.fail("an integer leaves the range of 64 bits");
  return result;
}

Value real_arithmetic(Run& run, Operator op, double a, double b) {
  const bool division =
      op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo;
  if (division && b == 0) run.fail("division by zero");
  switch (op) {
    case Operator::add:
      return a + b;
    case Operator::subtract:
      return a - b;
    case Operator::multiply:
      return a * b;
    case Operator::divide:
      return a / b;
    case Operator::floor_divide:
      return std::floor(a / b);
    case Operator::power:
      return std::pow(a, b);
    default:
      break;
  }
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

bool is_list(const Value& value) {
  return value.is_sequence(Flavor::list) || value.is_sequence(Flavor::tuple);
}

Value add(Run& run, const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) {
    run.check_text(a.text()->size() + b.text()->size());
    return run.text(*a.text() + *b.text());
  }
  if (!is_list(a) || !is_list(b) || a.sequence()->flavor != b.sequence()->flavor) {
    fail_types(run, Operator::add, a, b);
  }
  std::vector<Value> items = a.sequence()->items;
  items.insert(items.end(), b.sequence()->items.begin(), b.sequence()->items.end());
  return run.list(std::move(items), a.sequence()->flavor);
}

Value repeat(Run& run, const Value& a, std::int64_t count) {
  const auto times = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  if (a.is_text()) {
    const std::string& text = *a.text();
    if (text.empty() || times == 0) return "";
    run.check_text(times, text.size());
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return run.text(std::move(out));
  }
  const auto& items = a.sequence()->items;
  std::vector<Value> out;
  if (!items.empty()) {
    for (std::size_t i = 0; i < times; ++i) {
      run.charge(items.size());
      out.insert(out.end(), items.begin(), items.end());
    }
  }
  return run.list(std::move(out), a.sequence()->flavor);
}

bool equal_dicts(Run& run, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    charge_key(run, key);
    const Value* other = b.find(key);
    if (other == nullptr || !equal(run, value, *other)) return false;
  }
  return true;
}

}  // namespace

bool truth(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (const bool* flag = value.boolean()) return *flag;
  if (const std::int64_t* number = value.integer()) return *number != 0;
  if (const double* number = value.real()) return *number != 0;
  if (const std::string* text = value.text()) return !text->empty();
  if (const Sequence* list = value.sequence()) return !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->entries.empty();
  return true;
}

bool equal(Run& run, const Value& a, const Value& b) {
  run.charge();
  if (a.is_text() && b.is_text()) run.charge_text(a.text()->size());
  if (a.dict() != nullptr && b.dict() != nullptr) return equal_dicts(run, *a.dict(), *b.dict());
  const Sequence* left = a.sequence();
  const Sequence* right = b.sequence();
  if (left == nullptr || right == nullptr) {
    if (a.iterator() != nullptr || a.names() != nullptr || a.loop() != nullptr ||
        a.function() != nullptr) {
      return a.iterator() == b.iterator() && a.names() == b.names() && a.loop() == b.loop() &&
             a.function() == b.function();
    }
    return same_scalar(a, b);
  }
  if (left->flavor != right->flavor || left->items.size() != right->items.size()) return false;
  for (std::size_t i = 0; i < left->items.size(); ++i) {
    if (!equal(run, left->items[i], right->items[i])) return false;
  }
  return true;
}

bool less(Run& run, const Value& a, const Value& b) {
  run.charge();
  if (a.is_number() && b.is_number()) {
    if (a.is_real() || b.is_real()) return as_real(a) < as_real(b);
    return as_integer(a) < as_integer(b);
  }
  if (a.is_text() && b.is_text()) {
    run.charge_text(a.text()->size());
    return *a.text() < *b.text();  // UTF-8 sorts as code points do
  }
  refuse_undefined(run, a, b);
  if (!is_list(a) || !is_list(b)) fail_types(run, Operator::less, a, b);
  const auto& left = a.sequence()->items;
  const auto& right = b.sequence()->items;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (!equal(run, left[i], right[i])) return less(run, left[i], right[i]);
  }
  return left.size() < right.size();
}

bool contains(Run& run, const Value& container, const Value& item) {
  if (const std::string* text = container.text()) {
    if (!item.is_text()) {
      run.fail("'in' a string needs a string on its left side, not {}", item.type_name());
    }
    run.charge_text(text->size());
    return find_text(*text, *item.text()) != std::string_view::npos;
  }
  if (const Dict* dict = container.dict()) {
    charge_key(run, item);
    return dict->find(item) != nullptr;
  }
  for (const Value& one : items_of(run, container)) {
    if (equal(run, one, item)) return true;
  }
  return false;
}

bool compare(Run& run, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::equal:
      return equal(run, a, b);
    case Operator::unequal:
      return !equal(run, a, b);
    case Operator::less:
      return less(run, a, b);
    case Operator::less_equal:
      return less(run, a, b) || equal(run, a, b);
    case Operator::greater:
      return less(run, b, a);
    case Operator::greater_equal:
      return less(run, b, a) || equal(run, a, b);
    case Operator::in:
      return contains(run, b, a);
    default:
      return !contains(run, b, a);
  }
}

Value arithmetic(Run& run, Operator op, const Value& a, const Value& b) {
  run.charge();
  if (op == Operator::modulo && a.is_text()) return percent_format(run, *a.text(), b);
  refuse_undefined(run, a, b);
  if (a.is_number() && b.is_number()) {
    if (a.is_real() || b.is_real()) return real_arithmetic(run, op, as_real(a), as_real(b));
    return integer_arithmetic(run, op, as_integer(a), as_integer(b));
  }
  if (op == Operator::add) return add(run, a, b);
  if (op == Operator::multiply) {
    const bool left = a.is_text() || is_list(a);
    const Value& count = left ? b : a;
    const Value& repeated = left ? a : b;
    if ((count.is_integer() || count.is_bool()) && (repeated.is_text() || is_list(repeated))) {
      return repeat(run, repeated, as_integer(count));
    }
  }
  fail_types(run, op, a, b);
}

Value negative(Run& run, const Value& value) {
  if (value.is_real()) return -*value.real();
  return arithmetic(run, Operator::subtract, std::int64_t{0}, value);
}

void charge_key(Run& run, const Value& key) {
  if (key.is_text()) run.charge_text(key.text()->size());
}

std::int64_t size_of(Run& run, const Value& value) {
  if (const std::string* text = value.text()) {
    run.charge_text(text->size());
    return static_cast<std::int64_t>(length_of(*text));
  }
  if (const Sequence* list = value.sequence()) return static_cast<std::int64_t>(list->items.size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->entries.size());
  if (Loop* loop = value.loop()) return loop->length();
  if (value.is_undefined()) return 0;
  run.fail("{} has no length", value.type_name());
}

std::vector<Value> items_of(Run& run, const Value& value) {
  if (const Sequence* list = value.sequence()) {
    run.charge(1 + list->items.size());
    return list->items;
  }
  std::vector<Value> items;
  if (const std::string* text = value.text()) {
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t end = at + offset_of(std::string_view(*text).substr(at), 1);
      items.push_back(run.text(text->substr(at, end - at)));
      at = end;
    }
  } else if (const Dict* dict = value.dict()) {
    run.charge(1 + dict->entries.size());
    for (const auto& entry : dict->entries) items.push_back(entry.first);
  } else if (Iterator* walk = value.iterator()) {
    run.charge(1 + walk->items.size() - walk->next);
    items.assign(walk->items.begin() + static_cast<std::ptrdiff_t>(walk->next), walk->items.end());
    walk->next = walk->items.size();
  } else if (!value.is_undefined()) {
    run.fail("{} cannot be iterated over", value.type_name());
  }
  return items;
}

}  // namespace assay::text::chat
