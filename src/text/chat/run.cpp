#include "text/chat/run.h"

#include <algorithm>

#include "base/error.h"
#include "base/io.h"
#include "text/chat/operators.h"

namespace assay::text::chat {

void fail_at(const std::string& name, int line, std::string_view what) {
  assay::fail(ErrorCode::bad_data, "{}: line {}: {}", base::printable(name, 1000), line,
              base::printable(what, 500));
}

Bound::Bound(Run& run, std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters)
    : run_(run), function_(function), names_(parameters), values_(parameters.size()) {
  if (arguments.positional.size() > names_.size()) {
    run.fail("{} takes at most {} arguments, not {}", function, names_.size(),
             arguments.positional.size());
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) run.fail("{} takes no argument '{}'", function, name);
    const Value*& slot = values_[static_cast<std::size_t>(found - names_.begin())];
    if (slot != nullptr) run.fail("{} is given '{}' twice", function, name);
    slot = &value;
  }
}

const Value& Bound::at(std::size_t parameter) const {
  const Value* value = values_[parameter];
  if (value == nullptr) run_.fail("{} needs the argument '{}'", function_, names_[parameter]);
  return *value;
}

bool Bound::flag(std::size_t parameter, bool otherwise) const {
  const Value* value = values_[parameter];
  return value == nullptr ? otherwise : truth(*value);
}

const Value* Bound::given(std::size_t parameter) const {
  const Value* value = values_[parameter];
  return value == nullptr || value->is_none() ? nullptr : value;
}

std::int64_t Bound::integer(std::size_t parameter, std::int64_t otherwise) const {
  const Value* value = values_[parameter];
  if (value == nullptr) return otherwise;
  if (value->is_bool()) return static_cast<std::int64_t>(*value->boolean());
  if (!value->is_integer()) {
    run_.fail("{}: '{}' must be an integer, not {}", function_, names_[parameter],
              value->type_name());
  }
  return *value->integer();
}

const std::string& Bound::text(std::size_t parameter) const {
  const Value& value = at(parameter);
  if (!value.is_text()) {
    run_.fail("{}: '{}' must be a string, not {}", function_, names_[parameter], value.type_name());
  }
  return *value.text();
}

}  // namespace assay::text::chat
