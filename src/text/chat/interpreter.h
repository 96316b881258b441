#pragma once

#include <unordered_map>

#include "text/chat/ast.h"
#include "text/chat/run.h"

namespace assay::text::chat {

/// Names of one block and those around it. Names point into the template and the context, which
/// outlive the run.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::unordered_map<std::string_view, Value> values;
};

/// Walks a template once.
class Interpreter {
 public:
  Interpreter(Run& run, const std::vector<std::pair<std::string, Value>>& context);

  [[nodiscard]] std::string render(const Block& block);

 private:
  enum class Flow { next, leave, again };
  class Inner;

  Flow execute(const Block& block, std::string& out);
  Flow execute(const Statement& statement, std::string& out);
  Flow branch(const Statement& statement, std::string& out);
  Flow loop(const Statement& statement, std::string& out);
  Flow loop_body(const Statement& statement, Loop& loop, bool& completed, std::string& out);
  Flow set_block(const Statement& statement);
  Flow with(const Statement& statement, std::string& out);
  /// Renders a block with names of its own.
  std::string captured(const Block& block, Flow& flow);
  void assign(const Target& target, Value value);

  Value evaluate(const Expression& expression);
  Value evaluate_kind(const Expression& expression);
  Value name(const Expression& expression);
  Value call(const Expression& expression, const Value* caller);
  Value call_value(const Value& callee, Arguments arguments);
  Value call_macro(const Function& function, Arguments arguments);
  void bind_parameters(const Statement& macro, Arguments& arguments);
  Value filter(const Expression& expression, const Value* input);
  Value item(const Expression& expression);
  Value comparison(const Expression& expression);
  Value concatenation(const Expression& expression);
  Value container(const Expression& expression);
  Value dict(const Expression& expression);
  Arguments arguments(const CallArguments& given);
  Value macro_value(const Statement& macro);

  Run& run_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::shared_ptr<Scope>> kept_;  ///< those that macros were defined in
};

}  // namespace assay::text::chat
