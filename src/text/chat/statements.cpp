#include <optional>

#include "text/chat/interpreter.h"
#include "text/chat/operators.h"

namespace assay::text::chat {

/// Names assigned while it lives go with it.
class Interpreter::Inner {
 public:
  Inner(Interpreter& owner, std::shared_ptr<Scope> parent)
      : owner_(owner), outer_(std::exchange(owner.scope_, std::make_shared<Scope>())) {
    owner_.scope_->parent = std::move(parent);
  }
  explicit Inner(Interpreter& owner) : Inner(owner, owner.scope_) {}
  ~Inner() { owner_.scope_ = std::move(outer_); }
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;

 private:
  Interpreter& owner_;
  std::shared_ptr<Scope> outer_;
};

Interpreter::Interpreter(Run& run, const std::vector<std::pair<std::string, Value>>& context)
    : run_(run), scope_(std::make_shared<Scope>()) {
  for (const auto& [name, value] : context) scope_->values.insert_or_assign(name, value);
}

std::string Interpreter::render(const Block& block) {
  std::string out;
  (void)execute(block, out);
  return out;
}

Interpreter::Flow Interpreter::execute(const Block& block, std::string& out) {
  for (const auto& statement : block) {
    const Flow flow = execute(*statement, out);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::execute(const Statement& statement, std::string& out) {
  const Run::Level level(run_);
  run_.at(statement.line);
  run_.charge();
  Flow flow = Flow::next;
  switch (statement.kind) {
    case StatementKind::data:
      run_.append(out, statement.text);
      break;
    case StatementKind::output:
      for (const auto& expression : statement.expressions) print(run_, evaluate(*expression), out);
      break;
    case StatementKind::set:
      assign(statement.target, evaluate(*statement.expressions[0]));
      break;
    case StatementKind::set_block:
      return set_block(statement);
    case StatementKind::branch:
      return branch(statement, out);
    case StatementKind::loop:
      return loop(statement, out);
    case StatementKind::macro:
      scope_->values[statement.text] = macro_value(statement);
      break;
    case StatementKind::call: {
      const Value caller = macro_value(statement);
      print(run_, call(*statement.expressions[0], &caller), out);
      break;
    }
    case StatementKind::filter: {
      const Value text = run_.text(captured(statement.blocks[0], flow));
      print(run_, filter(*statement.expressions[0], &text), out);
      break;
    }
    case StatementKind::with:
      return with(statement, out);
    case StatementKind::scope:
      run_.append(out, captured(statement.blocks[0], flow));
      break;
    case StatementKind::break_loop:
      return Flow::leave;
    case StatementKind::continue_loop:
      return Flow::again;
  }
  return flow;
}

Interpreter::Flow Interpreter::branch(const Statement& statement, std::string& out) {
  for (std::size_t i = 0; i < statement.expressions.size(); ++i) {
    if (truth(evaluate(*statement.expressions[i]))) return execute(statement.blocks[i], out);
  }
  const bool otherwise = statement.blocks.size() > statement.expressions.size();
  return otherwise ? execute(statement.blocks.back(), out) : Flow::next;
}

Interpreter::Flow Interpreter::loop(const Statement& statement, std::string& out) {
  const auto loop = std::make_shared<Loop>();
  std::vector<Value> items = items_of(run_, evaluate(*statement.expressions[0]));
  if (statement.expressions.size() > 1) {
    // The condition is asked as late as possible: it may depend on what the body did.
    const auto scope = scope_;
    loop->more = [this, &statement, items = std::move(items), next = std::size_t{0},
                  scope](std::vector<Value>& found) mutable {
      while (next < items.size()) {
        const Inner inner(*this, scope);
        assign(statement.target, items[next]);
        const Value& item = items[next++];
        if (!truth(evaluate(*statement.expressions[1]))) continue;
        found.push_back(item);
        return true;
      }
      return false;
    };
  } else {
    loop->items = std::move(items);
  }
  // A namespace may hold the loop longer, and the loop itself.
  struct Close {
    Loop& loop;
    ~Close() {
      loop.more = nullptr;
      loop.changed.clear();
    }
  };
  const Close close{*loop};
  bool completed = false;
  Flow flow = Flow::next;
  for (; flow != Flow::leave && loop->has(loop->index0); ++loop->index0) {
    const Inner inner(*this);
    scope_->values["loop"] = loop;
    flow = loop_body(statement, *loop, completed, out);
  }
  // As in jinja2, "else" runs unless some pass reached the end of the body.
  if (completed || statement.blocks.size() < 2) return Flow::next;
  const Inner inner(*this);
  return execute(statement.blocks[1], out);
}

Interpreter::Flow Interpreter::loop_body(const Statement& statement, Loop& loop, bool& completed,
                                         std::string& out) {
  run_.charge();
  assign(statement.target, loop.items[loop.index0]);
  const Flow flow = execute(statement.blocks[0], out);
  completed = completed || flow == Flow::next;
  return flow;
}

std::string Interpreter::captured(const Block& block, Flow& flow) {
  const Inner inner(*this);
  std::string out;
  flow = execute(block, out);
  return out;
}

Interpreter::Flow Interpreter::set_block(const Statement& statement) {
  Flow flow = Flow::next;
  Value text = run_.text(captured(statement.blocks[0], flow));
  if (flow != Flow::next) return flow;
  if (!statement.expressions.empty()) text = filter(*statement.expressions[0], &text);
  assign(statement.target, std::move(text));
  return flow;
}

Interpreter::Flow Interpreter::with(const Statement& statement, std::string& out) {
  std::vector<Value> values;
  for (const auto& expression : statement.expressions) values.push_back(evaluate(*expression));
  const Inner inner(*this);
  for (std::size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
  return execute(statement.blocks[0], out);
}

void Interpreter::assign(const Target& target, Value value) {
  if (!target.parts.empty()) {
    const std::vector<Value> items = items_of(run_, value);
    if (items.size() != target.parts.size()) {
      run_.fail("{} values cannot be assigned to {} names", items.size(), target.parts.size());
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
    return;
  }
  if (target.attribute.empty()) {
    scope_->values[target.name] = std::move(value);
    return;
  }
  Expression reference;
  reference.kind = ExpressionKind::name;
  reference.name = target.name;
  Namespace* names = name(reference).names();
  if (names == nullptr) {
    run_.fail("'{}' is no namespace, so its attributes cannot be set", target.name);
  }
  if (target.attribute.starts_with('_')) {
    run_.fail("a namespace's names cannot begin with an underscore: '{}'", target.attribute);
  }
  run_.charge(8);
  names->values[target.attribute] = std::move(value);
}

Value Interpreter::macro_value(const Statement& macro) {
  run_.charge(8);
  if (kept_.empty() || kept_.back() != scope_) kept_.push_back(scope_);
  return std::make_shared<const Function>(
      Function{.macro = &macro, .scope = scope_.get(), .name = macro.text});
}

Value Interpreter::call_macro(const Function& function, Arguments arguments) {
  const Run::Level level(run_);
  const Statement& macro = *function.macro;
  // The scope is kept alive by kept_; an aliasing pointer says so to its children.
  const std::shared_ptr<Scope> around(std::shared_ptr<Scope>(), function.scope);
  const int line = run_.line();
  const Inner inner(*this, around);
  bind_parameters(macro, arguments);
  std::string out;
  (void)execute(macro.blocks[0], out);
  run_.at(line);
  return run_.text(std::move(out));
}

void Interpreter::bind_parameters(const Statement& macro, Arguments& given) {
  auto& values = scope_->values;
  const auto take_named = [&](std::string_view name) -> std::optional<Value> {
    for (auto i = given.named.begin(); i != given.named.end(); ++i) {
      if (i->first != name) continue;
      Value value = std::move(i->second);
      given.named.erase(i);
      return value;
    }
    return std::nullopt;
  };
  bool explicit_caller = false;
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    explicit_caller |= parameter.name == "caller";
    std::optional<Value> value;
    if (i < given.positional.size()) {
      value = given.positional[i];
    } else {
      value = take_named(parameter.name);
    }
    if (!value && parameter.otherwise) value = evaluate(*parameter.otherwise);
    values[parameter.name] =
        value ? *value
              : Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
  }
  if (macro.uses_caller && !explicit_caller) {
    const auto caller = take_named("caller");
    values["caller"] = caller ? *caller : Value::undefined("No caller defined");
  }
  if (macro.uses_kwargs) {
    auto rest = std::make_shared<Dict>();
    for (auto& [key, value] : given.named) rest->insert(Value(key), value);
    values["kwargs"] = run_.dict(std::move(rest));
  } else if (!given.named.empty()) {
    run_.fail("macro '{}' takes no argument '{}'", macro.text, given.named.front().first);
  }
  const std::size_t count = macro.parameters.size();
  if (macro.uses_varargs) {
    std::vector<Value> rest;
    for (std::size_t i = count; i < given.positional.size(); ++i) {
      rest.push_back(given.positional[i]);
    }
    values["varargs"] = run_.list(std::move(rest), Flavor::tuple);
  } else if (given.positional.size() > count) {
    run_.fail("macro '{}' takes at most {} arguments", macro.text, count);
  }
}

}  // namespace assay::text::chat
