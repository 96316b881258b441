#include <algorithm>
#include <charconv>

#include "base/io.h"
#include "files/field_error.h"
#include "files/records.h"
#include "files/table_file.h"

namespace assay::files {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_line(const fs::path& path, std::size_t line, const std::string& what) {
  fail(ErrorCode::bad_data, "{}: line {}: {}", shown(path), line, what);
}

bool is_text_column(const std::string& name) { return name == "sentence" || name == "text"; }

int label_of(const std::string& text, const fs::path& path, std::size_t line) {
  int label = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
  if (error != std::errc() || end != text.data() + text.size() || label < 0) {
    fail_line(path, line,
              fmt::format("the label '{}' is not an integer from 0", base::printable(text, 40)));
  }
  return label;
}

std::vector<LabelledText> from_csv(const fs::path& path) {
  const auto records = read_csv(path);
  if (records.empty()) fail_line(path, 1, "there is nothing in it");
  const auto& header = records.front().fields;
  const auto text = std::ranges::find_if(header, is_text_column) - header.begin();
  const auto label = std::ranges::find(header, "label") - header.begin();
  if (text == std::ssize(header) || label == std::ssize(header)) {
    fail_line(path, 1, "the header must name a column `sentence` or `text` and a column `label`");
  }
  if (std::ranges::count_if(header, is_text_column) > 1) {
    fail_line(path, 1, "more than one text column");
  }
  std::vector<LabelledText> rows;
  for (const CsvRecord& record : std::span(records).subspan(1)) {
    if (record.fields.size() != header.size()) {
      fail_line(
          path, record.line,
          fmt::format("{} columns, but the header names {}", record.fields.size(), header.size()));
    }
    rows.push_back({record.fields[static_cast<std::size_t>(text)],
                    label_of(record.fields[static_cast<std::size_t>(label)], path, record.line)});
  }
  if (rows.empty()) fail_line(path, 1, "there are no rows under the header");
  return rows;
}

std::vector<LabelledText> from_jsonl(const fs::path& path) {
  std::vector<LabelledText> rows;
  for (const JsonRecord& record : read_jsonl(path)) {
    const Json& value = record.value;
    const char* name = value.contains("sentence") ? "sentence" : "text";
    if (!value.contains(name) || !value.at(name).is_string() || !value.contains("label")) {
      fail_line(path, record.line, "a text `sentence` or `text` and a `label` are needed");
    }
    const Json& label = value.at("label");
    rows.push_back(
        {value.at(name).get<std::string>(),
         label_of(label.is_string() ? label.get<std::string>() : label.dump(), path, record.line)});
  }
  return rows;
}

}  // namespace

std::vector<LabelledText> read_labelled(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".csv") return from_csv(path);
  if (extension == ".jsonl" || extension == ".json") return from_jsonl(path);
  return read_labelled_tsv(path);
}

}  // namespace assay::files
