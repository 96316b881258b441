#include <cmath>
#include <cstdlib>

#include "text/chat/filters.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

void refuse_undefined(Run& run, const Value& value) {
  if (value.is_undefined()) run.fail("{}", value.why());
}

/// Python's integers have no bounds: what does not fit here is an error, not another number.
Value from_real(Run& run, double value, const Value& otherwise) {
  if (std::isnan(value)) return otherwise;
  if (std::fabs(value) >= 9.2e18) run.fail("int: {} is too large", value);
  return static_cast<std::int64_t>(value);
}

Value from_text(Run& run, const std::string& text, int base, const Value& otherwise) {
  if (const auto read = parse_integer(text, base)) return static_cast<std::int64_t>(*read);
  const auto real = parse_real(text);
  // "inf" is no integer to Python, but digits that make one infinite are.
  const bool word = text.find_first_of("0123456789") == std::string::npos;
  return !real || (word && std::isinf(*real)) ? otherwise : from_real(run, *real, otherwise);
}

Value to_int(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "int", arguments, {"default", "base"});
  refuse_undefined(run, value);
  Value otherwise = bound.find(0) != nullptr ? *bound.find(0) : Value(std::int64_t{0});
  if (value.is_integer()) return value;
  if (value.is_bool()) return static_cast<std::int64_t>(*value.boolean());
  if (value.is_real()) return from_real(run, *value.real(), otherwise);
  if (!value.is_text()) return otherwise;
  const std::int64_t base = bound.integer(1, 10);
  if (base < 2 || base > 36) run.fail("int: a base from 2 to 36 is needed");
  return from_text(run, *value.text(), static_cast<int>(base), otherwise);
}

Value to_float(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "float", arguments, {"default"});
  refuse_undefined(run, value);
  Value otherwise = bound.find(0) != nullptr ? *bound.find(0) : Value(0.0);
  if (value.is_real()) return value;
  if (value.is_bool()) return *value.boolean() ? 1.0 : 0.0;
  if (value.is_integer()) return static_cast<double>(*value.integer());
  if (!value.is_text()) return otherwise;
  const auto read = parse_real(*value.text());
  return read ? Value(*read) : otherwise;
}

Value absolute(Run& run, const Value& value, const Arguments& arguments) {
  (void)Bound(run, "abs", arguments, {});
  refuse_undefined(run, value);
  if (!value.is_number()) run.fail("abs needs a number, not {}", value.type_name());
  if (value.is_real()) return std::fabs(*value.real());
  const bool below = less(run, value, std::int64_t{0});
  return arithmetic(run, below ? Operator::subtract : Operator::add, std::int64_t{0}, value);
}

/// Correctly rounded to decimal places, exact halves to the even digit, as Python does.
double rounded(double value, std::int64_t places) {
  if (!std::isfinite(value) || places > 300) return value;
  if (places >= 0) {
    return std::strtod(fmt::format("{:.{}f}", value, static_cast<int>(places)).c_str(), nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(std::min<std::int64_t>(-places, 400)));
  return std::isfinite(unit) ? std::nearbyint(value / unit) * unit : 0.0;
}

Value round_to(Run& run, const Value& value, const Arguments& arguments) {
  const Bound bound(run, "round", arguments, {"precision", "method"});
  refuse_undefined(run, value);
  if (!value.is_number()) run.fail("round needs a number, not {}", value.type_name());
  const std::int64_t places = bound.integer(0, 0);
  const std::string method = bound.find(1) != nullptr ? bound.text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    run.fail("round: the method is common, ceil or floor");
  }
  if (method == "common") {
    if (value.is_real()) return rounded(*value.real(), places);
    if (places < 0) run.fail("round: an integer with a negative precision is not supported");
    return arithmetic(run, Operator::add, std::int64_t{0}, value);
  }
  const Value real = to_float(run, value, {});
  const double scale = std::pow(10.0, static_cast<double>(places));
  const double scaled = *real.real() * scale;
  if (!std::isfinite(scaled)) run.fail("round: the number is too large");
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

constexpr FilterRow kNumberFilters[] = {
    {"int", to_int}, {"float", to_float}, {"abs", absolute}, {"round", round_to}};

}  // namespace

std::span<const FilterRow> number_filters() { return kNumberFilters; }

}  // namespace assay::text::chat
