#include "text/json_fields.h"

#include <limits>

#include "base/io.h"

namespace assay::text {

Fields::Fields(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) {
    fail(ErrorCode::bad_data, "{}: an object is expected, not {}", where_, object.type_name());
  }
}

std::string Fields::place(const std::string& key) const {
  // "file: " ends with a space, "file: model" continues with a dot.
  return where_ + (where_.ends_with(' ') ? "" : ".") + base::printable(key);
}

const Json* Fields::find(const std::string& key) {
  seen_.insert(key);
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const Json& Fields::at(const std::string& key) {
  const Json* value = find(key);
  if (value == nullptr) fail(ErrorCode::bad_data, "{} is missing", place(key));
  return *value;
}

bool Fields::boolean(const std::string& key, bool otherwise) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) {
    fail(ErrorCode::bad_data, "{}: true or false is expected, not {}", place(key),
         value->type_name());
  }
  return value->get<bool>();
}

std::string Fields::text(const std::string& key) { return as_text(at(key), place(key)); }

std::string Fields::text(const std::string& key, std::string_view otherwise) {
  const Json* value = find(key);
  return value == nullptr ? std::string(otherwise) : as_text(*value, place(key));
}

std::int64_t Fields::integer(const std::string& key, std::int64_t otherwise) {
  const Json* value = find(key);
  return value == nullptr ? otherwise : as_integer(*value, place(key));
}

const Json& Fields::array(const std::string& key) {
  const Json& value = at(key);
  if (!value.is_array()) {
    fail(ErrorCode::bad_data, "{}: an array is expected, not {}", place(key), value.type_name());
  }
  return value;
}

void Fields::finish() const {
  for (const auto& [key, value] : object_->items()) {
    if (seen_.contains(key) || value.is_null()) continue;
    fail(ErrorCode::bad_data, "{} is not known to this program and might change the ids",
         place(key));
  }
}

const std::string& as_text(const Json& value, const std::string& where) {
  if (!value.is_string()) {
    fail(ErrorCode::bad_data, "{}: a string is expected, not {}", where, value.type_name());
  }
  return value.get_ref<const std::string&>();
}

std::int64_t as_integer(const Json& value, const std::string& where) {
  if (!value.is_number_integer()) {
    fail(ErrorCode::bad_data, "{}: an integer is expected, not {}", where, value.type_name());
  }
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() >
                             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (too_large) {
    fail(ErrorCode::bad_data, "{}: {} is out of range", where, value.get<std::uint64_t>());
  }
  return value.get<std::int64_t>();
}

}  // namespace assay::text
