#include "tasks/parquet.h"

#include <cstdlib>

#include "base/io.h"
#include "base/json.h"
#include "base/run_program.h"

namespace assay::tasks {
namespace {

namespace fs = std::filesystem;

constexpr int kMissingReader = 3;  // python/assay/parquet.py

/// The folder `python` of the source tree or the installation that this program is part of; empty
/// if the package must be installed for the interpreter.
fs::path package_folder() {
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (int up = 0; up < 5 && folder.has_relative_path(); ++up, folder = folder.parent_path()) {
    if (fs::exists(folder / "python" / "assay" / "parquet.py", error)) return folder / "python";
  }
  return {};
}

std::string interpreter() {
  const char* named = std::getenv("ASSAY_PYTHON");
  return named == nullptr || *named == '\0' ? "python3" : named;
}

[[noreturn]] void fail_reader(const ParquetJob& job, const std::string& why) {
  fail(ErrorCode::unsupported,
       "{}: Parquet is read by Python with pyarrow, which is not there ({}); \"pip install "
       "pyarrow\" "
       "for {} (ASSAY_PYTHON names another), or put JSONL with the same columns beside it",
       job.inputs.front().string(), why, interpreter());
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return base::printable(text.substr(text.rfind('\n') + 1), 300);
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorCode::io, "{}: cannot be made: {}", folder.string(), error.message());
}

}  // namespace

fs::path convert_parquet(const std::vector<ParquetJob>& jobs, const fs::path& folder) {
  const fs::path done = folder / ".complete";
  std::error_code error;
  if (fs::exists(done, error)) return folder;
  make_folder(folder);
  Json list = Json::array();
  for (const ParquetJob& job : jobs) {
    Json entry = {{"inputs", Json::array()}, {"output", (folder / job.output).string()}};
    for (const fs::path& input : job.inputs) entry["inputs"].push_back(input.string());
    if (!job.by.empty()) entry["by"] = job.by;
    list.push_back(std::move(entry));
  }
  const fs::path order = folder / ".jobs.json";
  base::write_atomically(order, list.dump());
  std::vector<std::pair<std::string, std::string>> variables;
  if (const fs::path package = package_folder(); !package.empty()) {
    const char* before = std::getenv("PYTHONPATH");
    variables.emplace_back(
        "PYTHONPATH",
        package.string() + (before == nullptr || *before == '\0' ? "" : ":" + std::string(before)));
  }
  const auto end =
      base::run_program({interpreter(), "-m", "assay.parquet", order.string()}, variables);
  const std::string said = last_line(end.errors);
  const bool no_package = said.find("No module named") != std::string::npos;
  if (!end.started || end.exit_code == kMissingReader || no_package) {
    fail_reader(jobs.front(), said);
  }
  if (end.exit_code != 0) {
    fail(ErrorCode::bad_data, "{}: cannot be brought to JSONL: {}",
         jobs.front().inputs.front().string(), said);
  }
  base::write_atomically(done, "");
  return folder;
}

}  // namespace assay::tasks
