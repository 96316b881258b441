#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace assay::files {

/// A path for a message: one line, whatever bytes it holds.
[[nodiscard]] std::string shown(const std::filesystem::path& path);

/// bad_data: "<file>: field '<field>' at byte <position>: <what>".
[[noreturn]] void throw_field_error(const std::filesystem::path& file, std::string_view field,
                                    std::uint64_t position, const std::string& what);

template <typename... Args>
[[noreturn]] void fail_field(const std::filesystem::path& file, std::string_view field,
                             std::uint64_t position, fmt::format_string<Args...> format,
                             Args&&... args) {
  throw_field_error(file, field, position, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace assay::files
