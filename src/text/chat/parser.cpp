#include "text/chat/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/chat/parser_detail.h"

namespace assay::text::chat {
namespace {

using Names = std::initializer_list<std::string_view>;
using Made = std::unique_ptr<Statement>;

class Parser {
 public:
  Parser(std::string_view source, const std::string& name)
      : tokens_(tokenize(source, name), name), expressions_(tokens_) {}

  /// Statements up to a tag of one of these names, which stays; to the end where there are none.
  Block block(Names ends);

 private:
  Made make(StatementKind kind) const {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = tokens_.now().line;
    return made;
  }
  /// "%} statements {% end", and the name of the end, which is read.
  Block body(Names ends, std::string* found = nullptr);
  /// A body from which no loop outside can be left.
  Block closed_body(std::string_view end, Statement& reader);

  Made statement();
  Made set();
  Made branch();
  Made loop();
  Made macro();
  Made call();
  Made filter();
  Made with();
  Made scope();
  Made print();
  Made jump(StatementKind kind);
  void parameters(Statement& macro);

  TokenStream tokens_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;
};

Block Parser::block(Names ends) {
  Block made;
  while (tokens_.now().type != TokenType::end) {
    if (tokens_.now().type == TokenType::data) {
      auto data = make(StatementKind::data);
      data->text = tokens_.take().value;
      made.push_back(std::move(data));
    } else if (tokens_.now().type == TokenType::variable_begin) {
      tokens_.take();
      auto output = make(StatementKind::output);
      output->expressions.push_back(expressions_.tuple());
      tokens_.expect(TokenType::variable_end, "'}}'");
      made.push_back(std::move(output));
    } else {
      tokens_.expect(TokenType::block_begin, "a tag");
      const Token& tag = tokens_.now();
      const auto ends_here = [&](std::string_view end) { return tag.is_name(end); };
      if (std::any_of(ends.begin(), ends.end(), ends_here)) return made;
      made.push_back(statement());
      tokens_.expect(TokenType::block_end, "'%}'");
    }
  }
  if (ends.size() != 0) tokens_.fail_unexpected(fmt::format("'{}'", *ends.begin()));
  return made;
}

Block Parser::body(Names ends, std::string* found) {
  if (++depth_ > kMaxSyntaxDepth) {
    tokens_.fail(fmt::format("blocks nested deeper than {}", kMaxSyntaxDepth));
  }
  tokens_.skip_sign(":");
  tokens_.expect(TokenType::block_end, "'%}'");
  Block made = block(ends);
  --depth_;
  const std::string& end = tokens_.take().value;
  if (found != nullptr) *found = end;
  return made;
}

Block Parser::closed_body(std::string_view end, Statement& reader) {
  const int outer = std::exchange(loops_, 0);
  expressions_.reads.emplace_back();
  Block made = body({end});
  loops_ = outer;
  const auto reads = expressions_.reads.back();
  expressions_.reads.pop_back();
  reader.uses_caller = reads.caller;
  reader.uses_varargs = reads.varargs;
  reader.uses_kwargs = reads.kwargs;
  return made;
}

Made Parser::statement() {
  struct Row {
    std::string_view tag;
    Made (Parser::*parse)();
  };
  constexpr Row kRows[] = {
      {"if", &Parser::branch},   {"for", &Parser::loop},         {"set", &Parser::set},
      {"macro", &Parser::macro}, {"call", &Parser::call},        {"filter", &Parser::filter},
      {"with", &Parser::with},   {"generation", &Parser::scope}, {"print", &Parser::print}};
  const Token& tag = tokens_.now();
  if (tag.type != TokenType::name) tokens_.fail_unexpected("the name of a tag");
  for (const Row& row : kRows) {
    if (tag.value == row.tag) return (this->*row.parse)();
  }
  if (tag.value == "break") return jump(StatementKind::break_loop);
  if (tag.value == "continue") return jump(StatementKind::continue_loop);
  constexpr std::string_view kForbidden[] = {"include", "extends", "import",
                                             "from",    "block",   "autoescape"};
  for (const std::string_view forbidden : kForbidden) {
    if (tag.value == forbidden) {
      tokens_.fail(fmt::format("the tag '{}' is not allowed in a chat template", tag.value));
    }
  }
  tokens_.fail(fmt::format("the tag '{}' is unknown or closes nothing", tag.value));
}

Made Parser::set() {
  auto made = make(StatementKind::set);
  tokens_.take();
  made->target = expressions_.target(true);
  if (tokens_.skip_sign("=")) {
    made->expressions.push_back(expressions_.tuple());
    return made;
  }
  made->kind = StatementKind::set_block;
  if (auto filters = expressions_.filters(true)) made->expressions.push_back(std::move(filters));
  made->blocks.push_back(body({"endset"}));
  return made;
}

Made Parser::branch() {
  auto made = make(StatementKind::branch);
  std::string end = "elif";
  while (end == "elif") {
    if (made->blocks.empty()) tokens_.take();
    made->expressions.push_back(expressions_.tuple(false));
    made->blocks.push_back(body({"endif", "elif", "else"}, &end));
  }
  if (end == "else") made->blocks.push_back(body({"endif"}));
  return made;
}

Made Parser::loop() {
  auto made = make(StatementKind::loop);
  tokens_.take();
  made->target = expressions_.target(false);
  tokens_.expect_name("in");
  made->expressions.push_back(expressions_.tuple(false));
  if (tokens_.skip_name("if")) made->expressions.push_back(expressions_.expression());
  if (tokens_.now().is_name("recursive")) {
    tokens_.fail("recursive loops are not supported in chat templates");
  }
  std::string end;
  ++loops_;
  made->blocks.push_back(body({"endfor", "else"}, &end));
  --loops_;
  if (end == "else") made->blocks.push_back(body({"endfor"}));
  return made;
}

void Parser::parameters(Statement& macro) {
  tokens_.expect_sign("(");
  while (!tokens_.now().is_sign(")")) {
    if (!macro.parameters.empty()) tokens_.expect_sign(",");
    Parameter parameter;
    parameter.name = tokens_.expect(TokenType::name, "the name of a parameter").value;
    if (tokens_.skip_sign("=")) {
      parameter.otherwise = expressions_.expression();
    } else if (!macro.parameters.empty() && macro.parameters.back().otherwise) {
      tokens_.fail("a parameter without a default follows one with a default");
    }
    macro.parameters.push_back(std::move(parameter));
  }
  tokens_.expect_sign(")");
}

Made Parser::macro() {
  auto made = make(StatementKind::macro);
  tokens_.take();
  made->text = tokens_.expect(TokenType::name, "the name of a macro").value;
  parameters(*made);
  made->blocks.push_back(closed_body("endmacro", *made));
  return made;
}

Made Parser::call() {
  auto made = make(StatementKind::call);
  made->text = "caller";
  tokens_.take();
  if (tokens_.now().is_sign("(")) parameters(*made);
  made->expressions.push_back(expressions_.expression());
  if (made->expressions.back()->kind != ExpressionKind::call) {
    tokens_.fail("the tag 'call' needs a call");
  }
  made->blocks.push_back(closed_body("endcall", *made));
  return made;
}

Made Parser::filter() {
  auto made = make(StatementKind::filter);
  tokens_.take();
  made->expressions.push_back(expressions_.filters(false));
  made->blocks.push_back(body({"endfilter"}));
  return made;
}

Made Parser::with() {
  auto made = make(StatementKind::with);
  tokens_.take();
  while (tokens_.now().type != TokenType::block_end) {
    if (!made->targets.empty()) tokens_.expect_sign(",");
    made->targets.push_back(expressions_.target(false));
    tokens_.expect_sign("=");
    made->expressions.push_back(expressions_.expression());
  }
  made->blocks.push_back(body({"endwith"}));
  return made;
}

Made Parser::scope() {
  auto made = make(StatementKind::scope);
  tokens_.take();
  made->blocks.push_back(closed_body("endgeneration", *made));
  return made;
}

Made Parser::print() {
  auto made = make(StatementKind::output);
  tokens_.take();
  while (tokens_.now().type != TokenType::block_end) {
    if (!made->expressions.empty()) tokens_.expect_sign(",");
    made->expressions.push_back(expressions_.expression());
  }
  return made;
}

Made Parser::jump(StatementKind kind) {
  if (loops_ == 0) tokens_.fail(fmt::format("'{}' outside of a loop", tokens_.now().value));
  auto made = make(kind);
  tokens_.take();
  return made;
}

}  // namespace

Block parse_template(std::string_view source, const std::string& name) {
  return Parser(source, name).block({});
}

}  // namespace assay::text::chat
