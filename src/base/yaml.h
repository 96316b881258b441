#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"

namespace assay::base {

/// A YAML document turned into JSON, with the line on which each value stood (in a mapping, that of
/// its key), keyed by JSON pointer ("/cells/0/model" -> 12, counted from 1). Plain scalars follow
/// YAML 1.2's core schema. Duplicate keys, keys that are no scalars, tags other than !!str, a
/// second document, numbers that are not finite, aliases that expand a file to many times its nodes
/// and nesting over 64 are errors.
struct YamlDocument {
  Json value;
  std::map<std::string, int> lines;
  /// Line of the value at `pointer` or of its nearest ancestor; 1 if none.
  [[nodiscard]] int line(const std::string& pointer) const;
};

/// Errors are usage errors that name `source` and the line.
[[nodiscard]] YamlDocument parse_yaml(std::string_view text, const std::string& source);
[[nodiscard]] YamlDocument read_yaml(const std::filesystem::path& file);

}  // namespace assay::base
