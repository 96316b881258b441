#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>

#include <filesystem>

namespace assay::study {

/// Opens a store as docs/store.md describes it: makes it if there is none (unless read-only),
/// refuses what is no store of ours, a newer schema, or a damaged file.
[[nodiscard]] SQLite::Database open_store(const std::filesystem::path& path, bool read_only);

/// Turns what SQLite says into an assay::Error that names the file and what to do next.
[[noreturn]] void throw_store_error(const SQLite::Exception& error,
                                    const std::filesystem::path& path, int system_error);

}  // namespace assay::study
