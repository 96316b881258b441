#include <fmt/format.h>

#include <algorithm>

#include "text/chat/parser_detail.h"

namespace assay::text::chat {

bool TokenStream::skip_sign(std::string_view sign) {
  const bool found = now().is_sign(sign);
  if (found) take();
  return found;
}

bool TokenStream::skip_name(std::string_view name) {
  const bool found = now().is_name(name);
  if (found) take();
  return found;
}

void TokenStream::expect_sign(std::string_view sign) {
  if (!skip_sign(sign)) fail_unexpected(fmt::format("'{}'", sign));
}

void TokenStream::expect_name(std::string_view name) {
  if (!skip_name(name)) fail_unexpected(fmt::format("'{}'", name));
}

const Token& TokenStream::expect(TokenType type, std::string_view what) {
  if (now().type != type) fail_unexpected(what);
  return take();
}

void TokenStream::fail_unexpected(std::string_view wanted) const {
  const auto shown = [](const Token& token) -> std::string {
    switch (token.type) {
      case TokenType::data:
        return "text";
      case TokenType::variable_begin:
        return "'{{'";
      case TokenType::variable_end:
        return "'}}'";
      case TokenType::block_begin:
        return "'{%'";
      case TokenType::block_end:
        return "'%}'";
      case TokenType::text:
        return "a string";
      case TokenType::integer:
      case TokenType::real:
        return "a number";
      case TokenType::end:
        return "the end of the template";
      default:
        return "'" + token.value + "'";
    }
  };
  fail(fmt::format("{} is expected, not {}", wanted, shown(now())));
}

ExpressionParser::Made ExpressionParser::make(ExpressionKind kind, int line) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = line;
  return made;
}

/// Sets the depth, which bounds the recursion of all that walks the tree.
ExpressionPtr ExpressionParser::done(Made expression) const {
  int deepest = 0;
  const auto see = [&](const ExpressionPtr& part) {
    if (part) deepest = std::max(deepest, part->depth);
  };
  for (const auto& part : expression->parts) see(part);
  for (const auto& part : expression->arguments.positional) see(part);
  for (const auto& part : expression->arguments.named) see(part.value);
  see(expression->arguments.star);
  see(expression->arguments.star_star);
  expression->depth = deepest + 1;
  if (expression->depth > kMaxSyntaxDepth) {
    tokens_.fail(fmt::format("expressions nested deeper than {}", kMaxSyntaxDepth));
  }
  return expression;
}

ExpressionPtr ExpressionParser::binary(ExpressionKind kind, Operator op, ExpressionPtr left,
                                       ExpressionPtr right, int line) const {
  auto made = make(kind, line);
  made->op = op;
  made->parts.push_back(std::move(left));
  made->parts.push_back(std::move(right));
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::expression(bool conditional) {
  const Level level(*this);
  return conditional ? condition() : either();
}

ExpressionPtr ExpressionParser::condition() {
  auto value = either();
  while (tokens_.now().is_name("if")) {
    auto made = make(ExpressionKind::conditional, tokens_.take().line);
    made->parts.push_back(either());
    made->parts.push_back(std::move(value));
    made->parts.push_back(tokens_.skip_name("else") ? expression() : nullptr);
    value = done(std::move(made));
  }
  return value;
}

ExpressionPtr ExpressionParser::either() {
  auto left = both();
  while (tokens_.now().is_name("or")) {
    const int line = tokens_.take().line;
    left = binary(ExpressionKind::either, Operator::add, std::move(left), both(), line);
  }
  return left;
}

ExpressionPtr ExpressionParser::both() {
  auto left = negation();
  while (tokens_.now().is_name("and")) {
    const int line = tokens_.take().line;
    left = binary(ExpressionKind::both, Operator::add, std::move(left), negation(), line);
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  if (!tokens_.now().is_name("not")) return comparison();
  const Level level(*this);
  auto made = make(ExpressionKind::negation, tokens_.take().line);
  made->parts.push_back(negation());
  return done(std::move(made));
}

bool ExpressionParser::comparison_operator(Operator& op) {
  struct Row {
    std::string_view sign;
    Operator op;
  };
  constexpr Row kRows[] = {{"==", Operator::equal},  {"!=", Operator::unequal},
                           {"<", Operator::less},    {"<=", Operator::less_equal},
                           {">", Operator::greater}, {">=", Operator::greater_equal}};
  for (const Row& row : kRows) {
    if (!tokens_.skip_sign(row.sign)) continue;
    op = row.op;
    return true;
  }
  const bool negated = tokens_.now().is_name("not") && tokens_.ahead().is_name("in");
  if (negated) tokens_.take();
  if (!tokens_.skip_name("in")) return false;
  op = negated ? Operator::not_in : Operator::in;
  return true;
}

ExpressionPtr ExpressionParser::comparison() {
  auto made = make(ExpressionKind::comparison, tokens_.now().line);
  made->parts.push_back(sum());
  for (Operator op{}; comparison_operator(op);) {
    made->ops.push_back(op);
    made->parts.push_back(sum());
  }
  if (made->ops.empty()) return std::move(made->parts.front());
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::sum() {
  auto left = concatenation();
  while (tokens_.now().is_sign("+") || tokens_.now().is_sign("-")) {
    const Token& sign = tokens_.take();
    const Operator op = sign.value == "+" ? Operator::add : Operator::subtract;
    const int line = sign.line;
    left = binary(ExpressionKind::arithmetic, op, std::move(left), concatenation(), line);
  }
  return left;
}

ExpressionPtr ExpressionParser::concatenation() {
  auto made = make(ExpressionKind::concatenation, tokens_.now().line);
  do {
    made->parts.push_back(product());
  } while (tokens_.skip_sign("~"));
  if (made->parts.size() == 1) return std::move(made->parts.front());
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::product() {
  auto left = power();
  while (true) {
    Operator op = Operator::multiply;
    if (tokens_.now().is_sign("/")) {
      op = Operator::divide;
    } else if (tokens_.now().is_sign("//")) {
      op = Operator::floor_divide;
    } else if (tokens_.now().is_sign("%")) {
      op = Operator::modulo;
    } else if (!tokens_.now().is_sign("*")) {
      return left;
    }
    const int line = tokens_.take().line;
    left = binary(ExpressionKind::arithmetic, op, std::move(left), power(), line);
  }
}

ExpressionPtr ExpressionParser::power() {
  auto left = unary(true);
  while (tokens_.now().is_sign("**")) {
    const int line = tokens_.take().line;
    left = binary(ExpressionKind::arithmetic, Operator::power, std::move(left), unary(true), line);
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const Level level(*this);
  ExpressionPtr value;
  const bool minus = tokens_.now().is_sign("-");
  if (minus || tokens_.now().is_sign("+")) {
    auto made = make(minus ? ExpressionKind::minus : ExpressionKind::plus, tokens_.take().line);
    made->parts.push_back(unary(false));
    value = done(std::move(made));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filtered(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  const Token& token = tokens_.now();
  auto made = make(ExpressionKind::constant, token.line);
  switch (token.type) {
    case TokenType::name:
      return name();
    case TokenType::text: {
      std::string text;
      while (tokens_.now().type == TokenType::text) text += tokens_.take().value;
      made->constant = Value(std::move(text));
      return done(std::move(made));
    }
    case TokenType::integer:
      made->constant = tokens_.take().integer;
      return done(std::move(made));
    case TokenType::real:
      made->constant = tokens_.take().real;
      return done(std::move(made));
    default:
      break;
  }
  if (token.is_sign("(")) return parentheses();
  if (token.is_sign("[")) return list();
  if (token.is_sign("{")) return dict();
  tokens_.fail_unexpected("a value");
}

ExpressionPtr ExpressionParser::name() {
  const Token& token = tokens_.take();
  auto made = make(ExpressionKind::constant, token.line);
  const std::string& word = token.value;
  if (word == "true" || word == "True") {
    made->constant = true;
  } else if (word == "false" || word == "False") {
    made->constant = false;
  } else if (word == "none" || word == "None") {
    made->constant = None{};
  } else {
    made->kind = ExpressionKind::name;
    made->name = word;
    if (!reads.empty()) {
      reads.back().caller |= word == "caller";
      reads.back().varargs |= word == "varargs";
      reads.back().kwargs |= word == "kwargs";
    }
  }
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::parentheses() {
  const Level level(*this);
  const int line = tokens_.take().line;
  ExpressionPtr value;
  if (tokens_.now().is_sign(")")) {
    value = done(make(ExpressionKind::tuple, line));
  } else {
    value = tuple();
  }
  tokens_.expect_sign(")");
  return value;
}

bool ExpressionParser::tuple_end() const {
  const Token& token = tokens_.now();
  return token.type == TokenType::variable_end || token.type == TokenType::block_end ||
         token.is_sign(")") || token.is_name("recursive");
}

ExpressionPtr ExpressionParser::tuple(bool conditional) {
  const int line = tokens_.now().line;
  auto first = expression(conditional);
  if (!tokens_.now().is_sign(",")) return first;
  auto made = make(ExpressionKind::tuple, line);
  made->parts.push_back(std::move(first));
  while (tokens_.skip_sign(",") && !tuple_end()) made->parts.push_back(expression(conditional));
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::list() {
  auto made = make(ExpressionKind::list, tokens_.take().line);
  while (!tokens_.now().is_sign("]")) {
    made->parts.push_back(expression());
    if (!tokens_.now().is_sign("]")) tokens_.expect_sign(",");
  }
  tokens_.expect_sign("]");
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::dict() {
  auto made = make(ExpressionKind::dict, tokens_.take().line);
  while (!tokens_.now().is_sign("}")) {
    made->parts.push_back(expression());
    tokens_.expect_sign(":");
    made->parts.push_back(expression());
    if (!tokens_.now().is_sign("}")) tokens_.expect_sign(",");
  }
  tokens_.expect_sign("}");
  return done(std::move(made));
}

}  // namespace assay::text::chat
