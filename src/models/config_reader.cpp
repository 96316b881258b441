#include "models/config_reader.h"

#include <cmath>

#include "base/io.h"

namespace assay::models {

ConfigReader::ConfigReader(const Json& object, std::string source)
    : object_(object), source_(std::move(source)) {
  if (!object.is_object()) fail(ErrorCode::bad_data, "{}: must be an object", source_);
}

const Json* ConfigReader::find(std::string_view key) const {
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void ConfigReader::refuse(std::string_view key, std::string_view problem) const {
  fail(ErrorCode::bad_data, "{}: '{}' {}", source_, base::printable(key), problem);
}

std::string ConfigReader::shown(const Json& value) {
  return base::printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

std::int64_t ConfigReader::integer(std::string_view key, std::int64_t lowest, std::int64_t highest,
                                   std::optional<std::int64_t> fallback) const {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) refuse(key, "is missing");
    return *fallback;
  }
  const auto problem = [&] {
    refuse(key,
           fmt::format("must be an integer from {} to {}, is {}", lowest, highest, shown(*value)));
  };
  if (!value->is_number_integer()) problem();
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX) problem();
  const auto n = value->get<std::int64_t>();
  if (n < lowest || n > highest) problem();
  return n;
}

double ConfigReader::number(std::string_view key, double lowest, double highest,
                            std::optional<double> fallback) const {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) refuse(key, "is missing");
    return *fallback;
  }
  const double n = value->is_number() ? value->get<double>() : std::nan("");
  if (!(n >= lowest && n <= highest)) {
    refuse(key,
           fmt::format("must be a number from {} to {}, is {}", lowest, highest, shown(*value)));
  }
  return n;
}

std::string ConfigReader::text(std::string_view key, std::optional<std::string> fallback) const {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) refuse(key, "is missing");
    return *fallback;
  }
  if (!value->is_string()) refuse(key, fmt::format("must be a text, is {}", shown(*value)));
  return base::printable(value->get<std::string>());
}

bool ConfigReader::flag(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) {
    refuse(key, fmt::format("must be true or false, is {}", shown(*value)));
  }
  return value->get<bool>();
}

}  // namespace assay::models
