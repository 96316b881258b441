#pragma once

#include <string>
#include <utility>
#include <vector>

namespace assay::base {

/// How a program ended that ran to its end.
struct ProgramEnd {
  bool started = false;  ///< false: it is not there
  int exit_code = -1;    ///< 128 + signal where one ended it
  std::string errors;    ///< what it wrote to standard error, at most 64 KiB
};

/// Runs a program (looked for in PATH) without standard input or output, with these variables added
/// to the environment, and waits for it. io error only where the system refuses a pipe.
[[nodiscard]] ProgramEnd run_program(
    const std::vector<std::string>& arguments,
    const std::vector<std::pair<std::string, std::string>>& variables = {});

}  // namespace assay::base
