#include "text/chat/parser_detail.h"

namespace assay::text::chat {

ExpressionPtr ExpressionParser::postfix(ExpressionPtr value) {
  while (true) {
    if (tokens_.now().is_sign(".") || tokens_.now().is_sign("[")) {
      value = subscript(std::move(value));
    } else if (tokens_.now().is_sign("(")) {
      value = call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::filtered(ExpressionPtr value) {
  while (true) {
    if (tokens_.skip_sign("|")) {
      value = one_filter(std::move(value));
    } else if (tokens_.now().is_name("is")) {
      value = test(std::move(value));
    } else if (tokens_.now().is_sign("(")) {
      value = call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::filters(bool pipe_first) {
  if (pipe_first && !tokens_.skip_sign("|")) return nullptr;
  ExpressionPtr value;
  do {
    value = one_filter(std::move(value));
  } while (tokens_.skip_sign("|"));
  return value;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr value) {
  const Token& token = tokens_.take();
  const int line = token.line;
  auto made = make(ExpressionKind::item, line);
  made->parts.push_back(std::move(value));
  if (token.is_sign(".")) {
    const Token& member = tokens_.take();
    if (member.type == TokenType::name) {
      made->kind = ExpressionKind::attribute;
      made->name = member.value;
    } else if (member.type == TokenType::integer) {
      auto index = make(ExpressionKind::constant, line);
      index->constant = member.integer;
      made->parts.push_back(done(std::move(index)));
    } else {
      tokens_.fail("a name or number is expected behind '.'");
    }
    return done(std::move(made));
  }
  made->parts.push_back(subscribed());
  if (tokens_.now().is_sign(",")) tokens_.fail("one index is expected, not several");
  tokens_.expect_sign("]");
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::subscribed() {
  const int line = tokens_.now().line;
  ExpressionPtr begin;
  if (!tokens_.now().is_sign(":")) {
    begin = expression();
    if (!tokens_.now().is_sign(":")) return begin;
  }
  auto made = make(ExpressionKind::slice, line);
  made->parts.push_back(std::move(begin));
  const auto part_end = [&] { return tokens_.now().is_sign("]") || tokens_.now().is_sign(","); };
  for (int i = 0; i < 2; ++i) {
    ExpressionPtr part;
    if (tokens_.skip_sign(":") && !part_end() && !tokens_.now().is_sign(":")) part = expression();
    made->parts.push_back(std::move(part));
  }
  return done(std::move(made));
}

CallArguments ExpressionParser::arguments() {
  CallArguments made;
  tokens_.expect_sign("(");
  const auto check = [&](bool valid) {
    if (!valid) tokens_.fail("these arguments of the call are in a wrong order");
  };
  while (!tokens_.now().is_sign(")")) {
    if (tokens_.skip_sign("*")) {
      check(!made.star && !made.star_star);
      made.star = expression();
    } else if (tokens_.skip_sign("**")) {
      check(!made.star_star);
      made.star_star = expression();
    } else if (tokens_.now().type == TokenType::name && tokens_.ahead().is_sign("=")) {
      check(!made.star_star);
      std::string name = tokens_.take().value;
      tokens_.take();
      made.named.push_back({std::move(name), expression()});
    } else {
      check(!made.star && !made.star_star && made.named.empty());
      made.positional.push_back(expression());
    }
    if (!tokens_.now().is_sign(")")) tokens_.expect_sign(",");
  }
  tokens_.expect_sign(")");
  return made;
}

ExpressionPtr ExpressionParser::call(ExpressionPtr value) {
  auto made = make(ExpressionKind::call, tokens_.now().line);
  made->parts.push_back(std::move(value));
  made->arguments = arguments();
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::one_filter(ExpressionPtr value) {
  const Token& token = tokens_.expect(TokenType::name, "the name of a filter");
  auto made = make(ExpressionKind::filter, token.line);
  made->name = token.value;
  made->parts.push_back(std::move(value));
  if (tokens_.now().is_sign("(")) made->arguments = arguments();
  return done(std::move(made));
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const int line = tokens_.take().line;
  const bool negated = tokens_.skip_name("not");
  auto made = make(ExpressionKind::test, line);
  made->name = tokens_.expect(TokenType::name, "the name of a test").value;
  made->parts.push_back(std::move(value));
  const Token& next = tokens_.now();
  const bool word = next.type == TokenType::name;
  if (next.is_sign("(")) {
    made->arguments = arguments();
  } else if (word && next.value == "is") {
    tokens_.fail("tests cannot be chained with 'is'");
  } else if ((word && next.value != "else" && next.value != "or" && next.value != "and") ||
             next.type == TokenType::text || next.type == TokenType::integer ||
             next.type == TokenType::real || next.is_sign("[") || next.is_sign("{")) {
    made->arguments.positional.push_back(postfix(primary()));
  }
  auto tested = done(std::move(made));
  if (!negated) return tested;
  auto inverse = make(ExpressionKind::negation, line);
  inverse->parts.push_back(std::move(tested));
  return done(std::move(inverse));
}

Target ExpressionParser::target(bool with_attribute) {
  const Level level(*this);
  const auto one = [&]() -> Target {
    if (tokens_.skip_sign("(")) {
      Target inner = target(with_attribute);
      tokens_.expect_sign(")");
      return inner;
    }
    Target made;
    made.name = tokens_.expect(TokenType::name, "a name to assign to").value;
    constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
    for (const std::string_view constant : kConstants) {
      if (made.name == constant) tokens_.fail(made.name + " cannot be assigned to");
    }
    if (with_attribute && tokens_.skip_sign(".")) {
      made.attribute = tokens_.expect(TokenType::name, "the name of an attribute").value;
    }
    return made;
  };
  Target first = one();
  if (!tokens_.now().is_sign(",")) return first;
  Target made;
  made.parts.push_back(std::move(first));
  while (tokens_.skip_sign(",") && !tokens_.now().is_name("in") && !tokens_.now().is_sign("=") &&
         !tuple_end()) {
    made.parts.push_back(one());
  }
  return made;
}

}  // namespace assay::text::chat
