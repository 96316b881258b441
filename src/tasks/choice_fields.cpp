#include "tasks/choice_fields.h"

#include <algorithm>
#include <charconv>

#include "base/io.h"

namespace assay::tasks {

void ChoiceFields::fail_here(const std::string& what) const {
  fail(ErrorCode::bad_data, "{}: line {}: {}", base::printable(file_.string()), record_.line, what);
}

const Json& ChoiceFields::field(const std::string& name) const {
  const Json* value = &record_.value;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (!value->is_object() || !value->contains(part)) {
      fail_here(fmt::format("there is no field '{}'", base::printable(name)));
    }
    value = &value->at(part);
    begin = end + 1;
  }
  return *value;
}

std::string ChoiceFields::as_text(const Json& value, const std::string& name) const {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  fail_here(fmt::format("the field '{}' is no text", base::printable(name)));
}

std::string ChoiceFields::text(const std::string& name) const { return as_text(field(name), name); }

std::vector<std::string> ChoiceFields::texts(const std::string& name) const {
  const Json& list = field(name);
  if (!list.is_array() || list.size() < 2) {
    fail_here(fmt::format("the field '{}' must be a list of at least two choices",
                          base::printable(name)));
  }
  std::vector<std::string> result;
  for (const Json& value : list) result.push_back(as_text(value, name));
  return result;
}

int ChoiceFields::gold(const std::string& name, const std::vector<std::string>& choices) const {
  const std::string text = this->text(name);
  int index = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool number = error == std::errc() && end == text.data() + text.size();
  if (!number) {
    const auto same = std::ranges::find(choices, text);
    if (same != choices.end()) return static_cast<int>(same - choices.begin());
    index = text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z' ? text[0] - 'A' : -1;
  }
  if (index < 0 || index >= std::ssize(choices)) {
    fail_here(fmt::format("'{}' is '{}', which is none of the {} choices", name,
                          base::printable(text, 40), choices.size()));
  }
  return index;
}

}  // namespace assay::tasks
