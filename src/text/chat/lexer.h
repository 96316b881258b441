#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay::text::chat {

enum class TokenType : std::uint8_t {
  data,            ///< text between tags, whitespace control applied
  variable_begin,  ///< {{
  variable_end,
  block_begin,  ///< {%
  block_end,
  name,
  text,  ///< a string literal, escapes resolved
  integer,
  real,
  sign,  ///< an operator or bracket
  end
};

struct Token {
  TokenType type = TokenType::end;
  int line = 1;
  std::string value;
  std::int64_t integer = 0;
  double real = 0.0;

  [[nodiscard]] bool is_sign(std::string_view sign) const {
    return type == TokenType::sign && value == sign;
  }
  [[nodiscard]] bool is_name(std::string_view name) const {
    return type == TokenType::name && value == name;
  }
};

/// The tokens of a template, ended by one of type `end`; comments and raw blocks are resolved.
/// jinja2's rules with trim_blocks and lstrip_blocks. bad_data naming `name` and the line.
[[nodiscard]] std::vector<Token> tokenize(std::string_view source, const std::string& name);

}  // namespace assay::text::chat
