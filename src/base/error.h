#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace assay {

/// What went wrong, in the terms a caller can act on. `exit_code` and `cell_status` translate it.
enum class ErrorCode {
  usage,           ///< the command line, a recipe or a study file is wrong
  bad_data,        ///< a model or data file is malformed or of an unknown kind
  device_missing,  ///< the device asked for is not there or not built in
  io,              ///< the operating system refused a read or a write
  unsupported,     ///< a precision is not available for this layer on this device
  out_of_memory,   ///< an allocation failed
  numeric,         ///< NaN or infinity where a number must be
  interrupted,     ///< the user asked to stop
  internal         ///< a promise of this program does not hold
};

/// The one exception type of the program. The message names cause and place and is one line.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// Process exit code: 2 usage, 65 bad data, 69 device missing or unsupported, 74 I/O, 130
/// interrupted, 1 otherwise.
[[nodiscard]] int exit_code(ErrorCode code) noexcept;

/// Status of a cell that ended with this error: `unsupported`, `oom`, `interrupted` or `failed`.
[[nodiscard]] std::string_view cell_status(ErrorCode code) noexcept;

/// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace assay
