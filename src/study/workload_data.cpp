#include "study/workload_data.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "base/io.h"
#include "files/table_file.h"
#include "tasks/data_files.h"

namespace assay::study {
namespace {

namespace fs = std::filesystem;

constexpr std::array kTables = {".tsv", ".csv", ".jsonl", ".json"};

/// A folder may hold either: tensors called as pre-tokenized data are, or texts.
bool holds_tensors(const fs::path& path, const std::vector<fs::path>& files) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return files::is_pretokenized(path);
  return std::ranges::any_of(files, [](const fs::path& file) {
    return file.stem() == "input_ids" && files::is_pretokenized(file);
  });
}

void add_text(const std::string& text, const engine::ModelSource& source, Samples& data) {
  auto ids = source.tokenizer().encode(text);
  if (!ids.empty()) data.emplace_back(ids.begin(), ids.end());
}

void add_file(const fs::path& file, const engine::ModelSource& source, Samples& data) {
  if (std::ranges::find(kTables, file.extension()) != kTables.end()) {
    for (const auto& row : files::read_labelled(file)) add_text(row.text, source, data);
    return;
  }
  std::istringstream lines(base::read_text(file));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) add_text(line, source, data);
  }
}

void check_vocabulary(const fs::path& path, const Samples& data, std::int64_t vocabulary) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (const auto id : data[i]) {
      if (id < vocabulary) continue;
      fail(ErrorCode::bad_data, "{}: sample {} has the token {}, the model knows {}", path.string(),
           i, id, vocabulary);
    }
  }
}

}  // namespace

Samples read_workload_data(const fs::path& path, const engine::ModelSource& source) {
  Samples data;
  const auto files = tasks::data_files(path);
  if (holds_tensors(path, files)) {
    for (const auto& row : files::read_labelled_tokens(path)) {
      data.emplace_back(row.ids.begin(), row.ids.end());
    }
  } else {
    for (const auto& file : files) add_file(file, source, data);
  }
  if (data.empty()) fail(ErrorCode::bad_data, "{}: no sample in it", path.string());
  check_vocabulary(path, data, source.config().vocabulary);
  return data;
}

}  // namespace assay::study
