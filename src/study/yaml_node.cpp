#include "study/yaml_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/io.h"
#include "base/names.h"

namespace assay::study {
namespace {

std::string pointer_token(const std::string& key) {
  std::string token;
  for (const char c : key) token += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return token;
}

[[noreturn]] void fail_at(const std::string& file, int line, const std::string& message) {
  fail(ErrorCode::usage, "{}:{}: {}", file, line, message);
}

std::string expanded(const std::string& text, const std::string& file, int line) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find("${", at);
    if (begin == std::string::npos) return result + text.substr(at);
    const std::size_t end = text.find('}', begin);
    if (end == std::string::npos) fail_at(file, line, "'${' without its '}'");
    const std::string name = text.substr(begin + 2, end - begin - 2);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
      fail_at(file, line,
              fmt::format("the environment variable {} is not set", base::printable(name)));
    }
    result += text.substr(at, begin - at) + value;
    at = end + 1;
  }
  return result;
}

void expand(Json& value, const std::string& pointer, const base::YamlDocument& document,
            const std::string& file) {
  if (value.is_string()) {
    value = expanded(value.get<std::string>(), file, document.line(pointer));
  } else if (value.is_object()) {
    for (auto& [key, child] : value.items()) {
      expand(child, pointer + "/" + pointer_token(key), document, file);
    }
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      expand(value[i], pointer + "/" + std::to_string(i), document, file);
    }
  }
}

}  // namespace

void expand_environment(base::YamlDocument& document, const std::string& file) {
  Json value = std::move(document.value);
  expand(value, "", document, file);
  document.value = std::move(value);
}

std::string YamlNode::place() const {
  return fmt::format("{}:{}", *file_, document_->line(pointer_));
}

void YamlNode::fail_here(const std::string& message) const {
  fail(ErrorCode::usage, "{}: {}", place(), message);
}

YamlNode YamlNode::child(const std::string& token, const Json& value) const {
  return {*document_, *file_, pointer_ + "/" + pointer_token(token), value};
}

std::string YamlNode::shown() const {
  return base::printable(value_->dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

void YamlNode::check_keys(std::string_view what, const std::vector<std::string>& known) const {
  if (!value_->is_object()) {
    fail_here(fmt::format("{} must be a mapping, not {}", what, shown()));
  }
  for (const auto& [key, node] : members()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string hint = base::did_you_mean(key, known);
    if (hint.empty()) hint = fmt::format("; {} has {}", what, fmt::join(known, ", "));
    node.fail_here(fmt::format("unknown key '{}'{}", base::printable(key), hint));
  }
}

std::optional<YamlNode> YamlNode::get(const std::string& key) const {
  if (!value_->is_object() || !value_->contains(key)) return std::nullopt;
  return child(key, value_->at(key));
}

YamlNode YamlNode::need(std::string_view what, const std::string& key) const {
  auto found = get(key);
  if (!found) fail_here(fmt::format("{} needs '{}'", what, key));
  return *found;
}

std::vector<YamlNode> YamlNode::elements() const {
  if (!value_->is_array()) return {*this};
  std::vector<YamlNode> result;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    result.push_back(child(std::to_string(i), (*value_)[i]));
  }
  return result;
}

std::vector<std::pair<std::string, YamlNode>> YamlNode::members() const {
  if (!value_->is_object()) fail_here(fmt::format("a mapping is expected, not {}", shown()));
  std::vector<std::pair<std::string, YamlNode>> result;
  for (const auto& [key, value] : value_->items()) result.emplace_back(key, child(key, value));
  return result;
}

std::string YamlNode::text() const {
  if (!value_->is_string() || value_->get_ref<const std::string&>().empty()) {
    fail_here(fmt::format("a text is expected, not {}", shown()));
  }
  return value_->get<std::string>();
}

bool YamlNode::flag() const {
  if (!value_->is_boolean()) fail_here(fmt::format("true or false is expected, not {}", shown()));
  return value_->get<bool>();
}

std::int64_t YamlNode::integer(std::int64_t low, std::int64_t high) const {
  const bool whole = value_->is_number_integer();
  if (!whole || value_->get<std::int64_t>() < low || value_->get<std::int64_t>() > high) {
    fail_here(fmt::format("a whole number from {} to {} is expected, not {}", low, high, shown()));
  }
  return value_->get<std::int64_t>();
}

double YamlNode::number(double low, double high) const {
  if (!value_->is_number() || value_->get<double>() < low || value_->get<double>() > high) {
    fail_here(fmt::format("a number from {} to {} is expected, not {}", low, high, shown()));
  }
  return value_->get<double>();
}

std::string YamlNode::one_of(const std::vector<std::string>& words) const {
  std::string word = text();
  if (std::ranges::find(words, word) == words.end()) {
    fail_here(fmt::format("one of {} is expected, not {}", fmt::join(words, ", "), shown()));
  }
  return word;
}

}  // namespace assay::study
