#pragma once

#include <string>

namespace assay::cli {

/// One line of standard input without its line feed; false at the end.
bool read_line(std::string& line);

}  // namespace assay::cli
