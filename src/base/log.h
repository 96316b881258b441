#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace assay::base {

/// Messages to standard error (spdlog underneath). Standard output is for results alone.
enum class LogLevel { debug, info, warning, error };
void set_log_level(LogLevel level);
void log_message(LogLevel level, std::string_view text);

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace assay::base
