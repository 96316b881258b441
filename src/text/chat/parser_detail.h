#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "text/chat/ast.h"
#include "text/chat/lexer.h"
#include "text/chat/run.h"

namespace assay::text::chat {

/// The tokens being read, and what is known about the place.
class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, const std::string& name)
      : tokens_(std::move(tokens)), name_(name) {}

  [[nodiscard]] const Token& now() const { return tokens_[at_]; }
  [[nodiscard]] const Token& ahead() const {
    return tokens_[std::min(at_ + 1, tokens_.size() - 1)];
  }
  const Token& take() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool skip_sign(std::string_view sign);
  bool skip_name(std::string_view name);
  void expect_sign(std::string_view sign);
  void expect_name(std::string_view name);
  const Token& expect(TokenType type, std::string_view what);
  [[noreturn]] void fail(std::string_view what) const { fail_at(name_, now().line, what); }
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

 private:
  std::vector<Token> tokens_;
  const std::string& name_;
  std::size_t at_ = 0;
};

/// Reads expressions; the grammar is jinja2's.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  ExpressionPtr expression(bool conditional = true);
  /// `a, b` is a tuple here.
  ExpressionPtr tuple(bool conditional = true);
  /// "| name(...) | name" behind a block's text; the innermost filter has no input. Without
  /// `pipe_first` the first bar is missing. Null if there is none.
  ExpressionPtr filters(bool pipe_first);
  Target target(bool with_attribute);
  CallArguments arguments();

  /// What macro bodies read, innermost last.
  struct Reads {
    bool caller = false;
    bool varargs = false;
    bool kwargs = false;
  };
  std::vector<Reads> reads;

 private:
  /// One level of recursion.
  struct Level {
    explicit Level(ExpressionParser& owner) : parser(owner) {
      if (++parser.depth_ > kMaxSyntaxDepth) {
        parser.tokens_.fail(fmt::format("expressions nested deeper than {}", kMaxSyntaxDepth));
      }
    }
    ~Level() { --parser.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ExpressionParser& parser;
  };
  using Made = std::unique_ptr<Expression>;
  using Rule = ExpressionPtr (ExpressionParser::*)();

  Made make(ExpressionKind kind, int line) const;
  ExpressionPtr done(Made expression) const;
  ExpressionPtr binary(ExpressionKind kind, Operator op, ExpressionPtr left, ExpressionPtr right,
                       int line) const;
  ExpressionPtr condition();
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr name();
  ExpressionPtr parentheses();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr value);
  ExpressionPtr filtered(ExpressionPtr value);
  ExpressionPtr subscript(ExpressionPtr value);
  ExpressionPtr subscribed();
  ExpressionPtr call(ExpressionPtr value);
  ExpressionPtr one_filter(ExpressionPtr value);
  ExpressionPtr test(ExpressionPtr value);
  bool comparison_operator(Operator& op);
  [[nodiscard]] bool tuple_end() const;

  TokenStream& tokens_;
  int depth_ = 0;
};

}  // namespace assay::text::chat
