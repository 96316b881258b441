#include "text/chat/functions.h"
#include "text/chat/interpreter.h"
#include "text/chat/operators.h"

namespace assay::text::chat {

Value Interpreter::evaluate(const Expression& expression) {
  const Run::Level level(run_);
  run_.at(expression.line);
  run_.charge();
  return evaluate_kind(expression);
}

Value Interpreter::evaluate_kind(const Expression& expression) {
  const auto part = [&](std::size_t i) { return evaluate(*expression.parts[i]); };
  switch (expression.kind) {
    case ExpressionKind::constant:
      return expression.constant;
    case ExpressionKind::name:
      return name(expression);
    case ExpressionKind::attribute:
      return attribute_of(run_, part(0), expression.name);
    case ExpressionKind::item:
      return item(expression);
    case ExpressionKind::call:
      return call(expression, nullptr);
    case ExpressionKind::filter:
      return filter(expression, nullptr);
    case ExpressionKind::test: {
      const Value tested = part(0);
      return call_test(run_, expression.name, tested, arguments(expression.arguments));
    }
    case ExpressionKind::minus:
      return negative(run_, part(0));
    case ExpressionKind::plus:
      return arithmetic(run_, Operator::add, std::int64_t{0}, part(0));
    case ExpressionKind::negation:
      return !truth(part(0));
    case ExpressionKind::arithmetic: {
      const Value left = part(0);
      return arithmetic(run_, expression.op, left, part(1));
    }
    case ExpressionKind::concatenation:
      return concatenation(expression);
    case ExpressionKind::both: {
      Value left = part(0);
      return truth(left) ? part(1) : left;
    }
    case ExpressionKind::either: {
      Value left = part(0);
      return truth(left) ? left : part(1);
    }
    case ExpressionKind::comparison:
      return comparison(expression);
    case ExpressionKind::conditional:
      if (truth(part(0))) return part(1);
      if (expression.parts[2]) return part(2);
      return Value::undefined("the condition is false and there is no 'else'");
    case ExpressionKind::dict:
      return dict(expression);
    default:
      return container(expression);
  }
}

Value Interpreter::name(const Expression& expression) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const auto found = scope->values.find(expression.name);
    if (found != scope->values.end()) return found->second;
  }
  if (is_global(expression.name)) return function_named(expression.name);
  return Value::undefined(fmt::format("'{}' is undefined", expression.name));
}

Value Interpreter::item(const Expression& expression) {
  const Value value = evaluate(*expression.parts[0]);
  const Expression& index = *expression.parts[1];
  if (index.kind != ExpressionKind::slice) return item_of(run_, value, evaluate(index));
  const auto part = [&](std::size_t i) -> Value {
    return index.parts[i] ? evaluate(*index.parts[i]) : Value(None{});
  };
  const Value begin = part(0);
  const Value end = part(1);
  return slice_of(run_, value, begin, end, part(2));
}

Value Interpreter::comparison(const Expression& expression) {
  Value left = evaluate(*expression.parts[0]);
  for (std::size_t i = 0; i < expression.ops.size(); ++i) {
    Value right = evaluate(*expression.parts[i + 1]);
    if (!compare(run_, expression.ops[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::concatenation(const Expression& expression) {
  std::string out;
  for (const auto& part : expression.parts) print(run_, evaluate(*part), out);
  return run_.text(std::move(out));
}

Value Interpreter::container(const Expression& expression) {
  std::vector<Value> items;
  items.reserve(expression.parts.size());
  for (const auto& part : expression.parts) items.push_back(evaluate(*part));
  const bool tuple = expression.kind == ExpressionKind::tuple;
  return run_.list(std::move(items), tuple ? Flavor::tuple : Flavor::list);
}

Value Interpreter::dict(const Expression& expression) {
  auto made = std::make_shared<Dict>();
  for (std::size_t i = 0; i < expression.parts.size(); i += 2) {
    const Value key = evaluate(*expression.parts[i]);
    charge_key(run_, key);
    if (!made->insert(key, evaluate(*expression.parts[i + 1]))) {
      run_.fail("a {} cannot be a key here", key.type_name());
    }
  }
  return run_.dict(std::move(made));
}

Arguments Interpreter::arguments(const CallArguments& given) {
  Arguments made;
  for (const auto& value : given.positional) made.positional.push_back(evaluate(*value));
  if (given.star) {
    for (const Value& value : items_of(run_, evaluate(*given.star))) {
      made.positional.push_back(value);
    }
  }
  for (const auto& named : given.named) made.named.emplace_back(named.name, evaluate(*named.value));
  if (!given.star_star) return made;
  const Value more = evaluate(*given.star_star);
  if (more.dict() == nullptr) run_.fail("** needs a dict, not {}", more.type_name());
  run_.charge(1 + more.dict()->entries.size());
  for (const auto& [key, value] : more.dict()->entries) {
    if (!key.is_text()) run_.fail("argument names are strings, not {}", key.type_name());
    made.named.emplace_back(*key.text(), value);
  }
  return made;
}

Value Interpreter::call(const Expression& expression, const Value* caller) {
  const Run::Level level(run_);
  const Value callee = evaluate(*expression.parts[0]);
  Arguments given = arguments(expression.arguments);
  if (caller != nullptr) given.named.emplace_back("caller", *caller);
  run_.at(expression.line);
  return call_value(callee, std::move(given));
}

Value Interpreter::call_value(const Value& callee, Arguments given) {
  run_.charge();
  const Function* function = callee.function();
  if (function == nullptr) {
    if (callee.is_undefined()) run_.fail("{}", callee.why());
    if (callee.loop() != nullptr) run_.fail("recursive loops are not supported in chat templates");
    run_.fail("a {} cannot be called", callee.type_name());
  }
  if (function->macro != nullptr) return call_macro(*function, std::move(given));
  if (function->self.is_undefined()) return call_global(run_, function->name, given);
  return call_method(run_, function->self, function->name, given);
}

Value Interpreter::filter(const Expression& expression, const Value* input) {
  const Value value = expression.parts[0] == nullptr ? *input
                      : input == nullptr             ? evaluate(*expression.parts[0])
                                                     : filter(*expression.parts[0], input);
  const Arguments given = arguments(expression.arguments);
  run_.at(expression.line);
  return call_filter(run_, expression.name, value, given);
}

}  // namespace assay::text::chat
