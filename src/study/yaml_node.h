#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/yaml.h"

namespace assay::study {

/// One value of a YAML file with its place, so that every error reads `file:line: what is wrong`.
/// All errors are usage errors. Borrows from the document.
class YamlNode {
 public:
  YamlNode(const base::YamlDocument& document, const std::string& file)
      : YamlNode(document, file, "", document.value) {}

  [[nodiscard]] const Json& value() const { return *value_; }
  /// "study.yaml:12"
  [[nodiscard]] std::string place() const;
  [[noreturn]] void fail_here(const std::string& message) const;

  /// Must be a mapping with no other keys than these; `what` names it in messages ("a task").
  void check_keys(std::string_view what, const std::vector<std::string>& known) const;
  [[nodiscard]] std::optional<YamlNode> get(const std::string& key) const;
  /// The value behind `key`, which must be there.
  [[nodiscard]] YamlNode need(std::string_view what, const std::string& key) const;
  /// Elements of a list; a single value is a list of one.
  [[nodiscard]] std::vector<YamlNode> elements() const;
  /// Keys and values of a mapping.
  [[nodiscard]] std::vector<std::pair<std::string, YamlNode>> members() const;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool flag() const;
  [[nodiscard]] std::int64_t integer(std::int64_t low, std::int64_t high) const;
  [[nodiscard]] double number(double low, double high) const;
  [[nodiscard]] std::string one_of(const std::vector<std::string>& words) const;

 private:
  YamlNode(const base::YamlDocument& document, const std::string& file, std::string pointer,
           const Json& value)
      : document_(&document), file_(&file), pointer_(std::move(pointer)), value_(&value) {}
  [[nodiscard]] YamlNode child(const std::string& token, const Json& value) const;
  [[nodiscard]] std::string shown() const;

  const base::YamlDocument* document_;
  const std::string* file_;
  std::string pointer_;
  const Json* value_;
};

/// Replaces ${NAME} in every text of the document by the environment variable; an unset one is a
/// usage error with its line.
void expand_environment(base::YamlDocument& document, const std::string& file);

}  // namespace assay::study
