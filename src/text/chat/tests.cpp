#include <cmath>

#include "text/chat/functions.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace assay::text::chat {
namespace {

bool is_sized(const Value& value) {
  const Sequence* list = value.sequence();
  const bool view = list != nullptr && list->flavor != Flavor::list &&
                    list->flavor != Flavor::tuple && list->flavor != Flavor::range;
  return value.is_text() || value.is_undefined() || value.dict() != nullptr ||
         (list != nullptr && !view);
}

struct PlainTest {
  std::string_view name;
  bool (*test)(const Value&);
};
constexpr PlainTest kPlain[] = {
    {"defined", [](const Value& v) { return !v.is_undefined(); }},
    {"undefined", [](const Value& v) { return v.is_undefined(); }},
    {"none", [](const Value& v) { return v.is_none(); }},
    {"string", [](const Value& v) { return v.is_text(); }},
    {"mapping", [](const Value& v) { return v.dict() != nullptr; }},
    {"iterable",
     [](const Value& v) {
       return v.is_text() || v.is_undefined() || v.sequence() != nullptr || v.dict() != nullptr ||
              v.iterator() != nullptr || v.loop() != nullptr;
     }},
    {"sequence", is_sized},
    {"number", [](const Value& v) { return v.is_number(); }},
    {"integer", [](const Value& v) { return v.is_integer(); }},
    {"float", [](const Value& v) { return v.is_real(); }},
    {"boolean", [](const Value& v) { return v.is_bool(); }},
    {"true", [](const Value& v) { return v.is_bool() && *v.boolean(); }},
    {"false", [](const Value& v) { return v.is_bool() && !*v.boolean(); }},
    {"callable", [](const Value& v) { return v.function() != nullptr; }}};

struct ComparingTest {
  std::string_view name;
  Operator op;
};
constexpr ComparingTest kComparing[] = {
    {"equalto", Operator::equal},    {"eq", Operator::equal},
    {"==", Operator::equal},         {"ne", Operator::unequal},
    {"!=", Operator::unequal},       {"lt", Operator::less},
    {"lessthan", Operator::less},    {"<", Operator::less},
    {"le", Operator::less_equal},    {"<=", Operator::less_equal},
    {"gt", Operator::greater},       {"greaterthan", Operator::greater},
    {">", Operator::greater},        {"ge", Operator::greater_equal},
    {">=", Operator::greater_equal}, {"in", Operator::in}};

bool remainder_is(Run& run, const Value& value, const Value& divisor, std::int64_t wanted) {
  return equal(run, arithmetic(run, Operator::modulo, value, divisor), wanted);
}

}  // namespace

bool call_test(Run& run, std::string_view name, const Value& value, const Arguments& arguments) {
  run.charge();
  for (const PlainTest& row : kPlain) {
    if (row.name != name) continue;
    (void)Bound(run, name, arguments, {});
    return row.test(value);
  }
  for (const ComparingTest& row : kComparing) {
    if (row.name != name) continue;
    const Bound bound(run, name, arguments, {"other"});
    return compare(run, row.op, value, bound.at(0));
  }
  if (name == "odd") return remainder_is(run, value, std::int64_t{2}, 1);
  if (name == "even") return remainder_is(run, value, std::int64_t{2}, 0);
  if (name == "divisibleby") {
    const Bound bound(run, name, arguments, {"num"});
    return remainder_is(run, value, bound.at(0), 0);
  }
  if (name == "lower") return has_property(printed(run, value), Property::lower);
  if (name == "upper") return has_property(printed(run, value), Property::upper);
  if (name == "filter") return value.is_text() && is_filter(*value.text());
  if (name == "sameas") {
    const Bound bound(run, name, arguments, {"other"});
    const bool scalar = value.is_none() || value.is_bool();
    if (!scalar && !bound.at(0).is_none() && !bound.at(0).is_bool()) {
      run.fail("sameas is supported for none, true and false");
    }
    return value.type_name() == bound.at(0).type_name() && same_scalar(value, bound.at(0));
  }
  run.fail("there is no test '{}'", name);
}

}  // namespace assay::text::chat
