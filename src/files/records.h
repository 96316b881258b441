#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace assay::files {

/// One record of a CSV file and the line on which it begins, counted from 1.
struct CsvRecord {
  std::vector<std::string> fields;
  std::size_t line = 0;
};

/// CSV as RFC 4180 describes it, with either line end: fields in quotes may hold separators, line
/// ends and doubled quotes; a quote within a field that does not begin with one is text, as for
/// pandas. Empty lines are skipped; "NA" and "None" are text like any other. Errors: bad_data with
/// file and line for a quote that does not close, text behind a closing quote, and bytes that are
/// not UTF-8.
[[nodiscard]] std::vector<CsvRecord> read_csv(const std::filesystem::path& path);

/// One object of a JSONL file.
struct JsonRecord {
  Json value;
  std::size_t line = 0;
};

/// JSONL: an object on each line, empty lines skipped. Errors: bad_data with file and line, also
/// for a file without a record.
[[nodiscard]] std::vector<JsonRecord> read_jsonl(const std::filesystem::path& path);

}  // namespace assay::files
