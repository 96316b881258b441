#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/chat/value.h"

namespace assay::text::chat {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class Operator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in
};

enum class ExpressionKind : std::uint8_t {
  constant,
  name,
  attribute,  ///< parts[0].name
  item,       ///< parts[0][parts[1]]
  slice,      ///< parts: begin, end, step, each may be null; only as an item's subscript
  call,       ///< parts[0] called
  filter,     ///< parts[0] | name; parts[0] is null in a filter block
  test,       ///< parts[0] is name
  minus,
  plus,
  negation,
  arithmetic,  ///< parts[0] op parts[1]
  concatenation,
  both,         ///< and
  either,       ///< or
  comparison,   ///< parts[0] ops[0] parts[1] ops[1] parts[2] ...
  conditional,  ///< parts[1] if parts[0] else parts[2], which may be null
  list,
  tuple,
  dict  ///< parts: key, value, key, value, ...
};

struct CallArguments {
  struct Named {
    std::string name;
    ExpressionPtr value;
  };
  std::vector<ExpressionPtr> positional;
  std::vector<Named> named;
  ExpressionPtr star;       ///< *value, may be null
  ExpressionPtr star_star;  ///< **value, may be null
};

struct Expression {
  ExpressionKind kind = ExpressionKind::constant;
  Operator op = Operator::add;
  int line = 1;
  int depth = 1;
  std::string name;
  Value constant;
  std::vector<ExpressionPtr> parts;
  std::vector<Operator> ops;
  CallArguments arguments;
};

/// What {% set %} and {% for %} assign to: a name, ns.attribute, or several targets.
struct Target {
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
};

struct Statement;
using Block = std::vector<std::unique_ptr<const Statement>>;

enum class StatementKind : std::uint8_t {
  data,       ///< text
  output,     ///< expressions
  set,        ///< target = expressions[0]
  set_block,  ///< target = body, filtered by expressions[0] if there
  branch,     ///< if: expressions[i] guards blocks[i]; one block more is else
  loop,       ///< for target in expressions[0] if expressions[1]: blocks[0], else blocks[1]
  macro,
  call,    ///< a macro without a name, given as caller to expressions[0]
  filter,  ///< blocks[0] filtered by expressions[0]
  with,    ///< targets[i] = expressions[i] within blocks[0]
  scope,   ///< blocks[0] with names of its own: {% generation %}
  break_loop,
  continue_loop
};

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  ///< null: undefined
};

struct Statement {
  StatementKind kind = StatementKind::data;
  int line = 1;
  std::string text;  ///< data, or a macro's name
  Target target;
  std::vector<ExpressionPtr> expressions;
  std::vector<Block> blocks;
  std::vector<Target> targets;        ///< of with
  std::vector<Parameter> parameters;  ///< of macro and call
  bool uses_caller = false;           ///< the macro's body reads `caller`, `varargs`, `kwargs`
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

}  // namespace assay::text::chat
