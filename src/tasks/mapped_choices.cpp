#include <algorithm>

#include "base/names.h"
#include "base/yaml.h"
#include "tasks/choice_fields.h"
#include "tasks/multiple_choice.h"

namespace assay::tasks {
namespace {

namespace fs = std::filesystem;

/// Where the parts of a question stand in a record.
struct FieldMap {
  fs::path file;
  std::string query = "{query}";                   ///< a text in which {name} stands for a field
  std::vector<std::string> choices = {"choices"};  ///< a list's field, or one field for each choice
  std::string gold = "gold";
  std::string delimiter = " ";
};

FieldMap read_map(const fs::path& file) {
  const base::YamlDocument document = base::read_yaml(file);
  const auto wrong = [&](const std::string& pointer, const std::string& what) {
    fail(ErrorCode::usage, "{}: line {}: {}", file.string(), document.line(pointer), what);
  };
  if (!document.value.is_object()) wrong("", "a mapping with 'file' and fields is needed");
  FieldMap map;
  const std::vector<std::string> known = {"file", "query", "choices", "gold", "delimiter"};
  for (const auto& [key, value] : document.value.items()) {
    const bool list = key == "choices" && value.is_array();
    if (std::ranges::find(known, key) == known.end()) {
      wrong("/" + key, fmt::format("unknown key '{}'{}", key, base::did_you_mean(key, known)));
    }
    for (const Json& part : list ? value : Json::array({value})) {
      if (!part.is_string()) wrong("/" + key, fmt::format("'{}' must be a text", key));
    }
    if (key == "file") map.file = file.parent_path() / value.get<std::string>();
    if (key == "query") map.query = value.get<std::string>();
    if (key == "gold") map.gold = value.get<std::string>();
    if (key == "delimiter") map.delimiter = value.get<std::string>();
    if (key == "choices") {
      map.choices = list ? value.get<std::vector<std::string>>()
                         : std::vector<std::string>{value.get<std::string>()};
      if (list && map.choices.size() < 2) wrong("/choices", "two fields at least make a choice");
    }
  }
  if (map.file.empty()) wrong("", "'file' is missing: the JSONL file that is mapped");
  // A plain name is a field; a text with braces says how the question is put.
  if (map.query.find('{') == std::string::npos) map.query = "{" + map.query + "}";
  return map;
}

std::string filled(const std::string& pattern, const ChoiceFields& fields) {
  std::string result;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t open = std::min(pattern.find('{', at), pattern.size());
    result += pattern.substr(at, open - at);
    if (open == pattern.size()) break;
    const std::size_t close = pattern.find('}', open);
    if (close == std::string::npos) {
      fail(ErrorCode::usage, "'{}' opens a brace that does not close", pattern);
    }
    result += fields.text(pattern.substr(open + 1, close - open - 1));
    at = close + 1;
  }
  return result;
}

}  // namespace

ChoiceData read_multiple_choice(const fs::path& file, int limit) {
  const bool mapped = file.extension() == ".yaml" || file.extension() == ".yml";
  FieldMap map;
  if (mapped) map = read_map(file);
  const fs::path source = mapped ? map.file : file;
  ChoiceData data{.task = "multiple_choice",
                  .items = {},
                  .delimiter = map.delimiter,
                  .source = source.string()};
  for (const files::JsonRecord& record : files::read_jsonl(source)) {
    if (limit > 0 && std::ssize(data.items) == limit) break;
    const ChoiceFields fields(record, source);
    ChoiceItem item{.context = filled(map.query, fields), .choices = {}, .group = {}};
    if (map.choices.size() == 1) {
      item.choices = fields.texts(map.choices.front());
    } else {
      for (const auto& name : map.choices) item.choices.push_back(fields.text(name));
    }
    item.gold = fields.gold(map.gold, item.choices);
    data.items.push_back(std::move(item));
  }
  return data;
}

}  // namespace assay::tasks
