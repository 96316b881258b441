#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace assay::base {

/// Whole content of a file of at most `max_bytes`; larger is bad_data, unreadable is io.
[[nodiscard]] std::string read_text(const std::filesystem::path& file,
                                    std::size_t max_bytes = std::size_t{1} << 30);

/// Writes to a temporary file in the same folder, fsync, rename. Errors are io and name the file.
void write_atomically(const std::filesystem::path& file, std::string_view content);

/// One line of text made of untrusted bytes: control characters escaped, cut at `max_length`.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_length = 120);

}  // namespace assay::base
