#include "text/replacement.h"

#include "text/growth.h"

namespace assay::text {
namespace {

std::string replace_literal(const Replacement& step, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t begin = 0;
  if (!step.literal.empty()) {
    for (std::size_t at = 0; (at = text.find(step.literal, begin)) != text.npos;) {
      out += text.substr(begin, at - begin);
      out += step.content;
      check_growth(text.size(), out.size());
      begin = at + step.literal.size();
    }
  }
  out += text.substr(begin);
  return out;
}

std::string replace_pattern(const Replacement& step, std::string_view text) {
  std::string storage;
  text = valid_utf8(text, storage);
  std::vector<Range> matches;
  step.pattern->find_all(text, matches);
  std::string out;
  out.reserve(text.size());
  std::size_t begin = 0;
  for (const Range& match : matches) {
    out += text.substr(begin, match.begin - begin);
    out += step.content;
    check_growth(text.size(), out.size());
    begin = match.end;
  }
  out += text.substr(begin);
  return out;
}

}  // namespace

std::string replace(const Replacement& step, std::string_view text) {
  return step.pattern ? replace_pattern(step, text) : replace_literal(step, text);
}

}  // namespace assay::text
