#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace assay {

using Json = nlohmann::json;

namespace base {

/// Parses JSON; rejects duplicate keys, NaN, and nesting deeper than 64. Errors are bad_data and
/// name `source` and the byte position.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& source);

/// Reads and parses a file of at most `max_bytes`.
[[nodiscard]] Json read_json(const std::filesystem::path& file,
                             std::size_t max_bytes = std::size_t{256} << 20);

}  // namespace base
}  // namespace assay
