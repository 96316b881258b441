#include "tasks/hub_data.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/hash.h"
#include "base/io.h"
#include "files/hash_cache.h"
#include "files/hub_cache.h"
#include "files/tensor_file.h"
#include "tasks/multiple_choice.h"
#include "tasks/parquet.h"

namespace assay::tasks {
namespace {

namespace fs = std::filesystem;

/// Where a task's data may lie in the hub. The revisions are those that were the heads of the
/// repositories when this was written: a score must not change because a data set was edited.
struct Source {
  std::string_view task;
  std::string_view repo;
  std::string_view revision;
  std::string_view folder;  ///< within the snapshot
};
constexpr std::array<Source, 5> kSources = {{
    {"sst2", "stanfordnlp/sst2", "8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb", "data"},
    {"sst2", "nyu-mll/glue", "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c", "sst2"},
    {"sst2", "glue", "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c", "sst2"},
    {"hellaswag", "Rowan/hellaswag", "218ec52e09a7e7462a5400043bb9a69a41d06b76", "data"},
    {"mmlu", "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe", ""},
}};

/// A split by the name that the task uses, and what its files begin with.
struct Split {
  std::string_view name;
  std::array<std::string_view, 3> beginnings;
};
constexpr Split kValidation = {"val", {"validation", "val", "hellaswag_val"}};
constexpr std::array<Split, 3> kMmluSplits = {{{"dev", {"dev", "dev", "dev"}},
                                               {"val", {"validation", "val", "val"}},
                                               {"test", {"test", "test", "test"}}}};

/// Formats in the order in which they are taken.
constexpr std::array<std::string_view, 4> kFormats = {".jsonl", ".tsv", ".csv", ".parquet"};
constexpr std::string_view kParquet = ".parquet";

bool begins_with(const std::string& stem, const Split& split) {
  return std::ranges::any_of(split.beginnings, [&](std::string_view beginning) {
    const bool ends = stem.size() == beginning.size() ||
                      std::string_view("-._").find(stem[beginning.size()]) != std::string::npos;
    return stem.starts_with(beginning) && ends;
  });
}

/// The files of a split in a folder, of the first format that has any; sorted.
std::vector<fs::path> split_files(const fs::path& folder, const Split& split) {
  std::vector<fs::path> found;
  std::size_t best = kFormats.size();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path& path = entry.path();
    const auto format = static_cast<std::size_t>(
        std::ranges::find(kFormats, path.extension().string()) - kFormats.begin());
    if (format > best || format == kFormats.size()) continue;
    if (!begins_with(path.stem().string(), split) || !entry.is_regular_file(error)) continue;
    if (format < best) found.clear();
    best = format;
    found.push_back(path);
  }
  std::ranges::sort(found);
  return found;
}

/// Where the files of one snapshot become what a task reads. Its name depends on their content, so
/// that nothing is answered by another data set's lines.
fs::path prepared_folder(const HubData& data, const std::vector<ParquetJob>& jobs) {
  const fs::path cache = files::own_cache_folder();
  if (cache.empty()) {
    fail(ErrorCode::io, "{}: there is no folder for its JSONL: set ASSAY_CACHE", data.repo);
  }
  base::Sha256 hash;
  for (const ParquetJob& job : jobs) {
    hash.update(job.output + "\n");
    for (const fs::path& input : job.inputs) hash.update(files::content_hash(input));
  }
  std::string repo = data.repo;
  if (const auto slash = repo.find('/'); slash != std::string::npos) repo.replace(slash, 1, "--");
  return cache / "datasets" / repo / (data.revision.substr(0, 12) + "-" + hash.hex().substr(0, 12));
}

[[noreturn]] void fail_no_split(const fs::path& folder, std::string_view split) {
  fail(ErrorCode::bad_data,
       "{}: no file of its split {} (validation*.jsonl, .tsv, .csv or .parquet and the like)",
       folder.string(), split);
}

fs::path one_split(const HubData& data, const fs::path& folder) {
  const auto files = split_files(folder, kValidation);
  if (files.empty()) fail_no_split(folder, kValidation.name);
  if (files.front().extension() != kParquet) {
    if (files.size() == 1) return files.front();
    fail(ErrorCode::bad_data, "{}: its split {} is {} files; put them together and name the file",
         folder.string(), kValidation.name, files.size());
  }
  const std::vector<ParquetJob> jobs = {{.inputs = files, .output = "val.jsonl"}};
  return convert_parquet(jobs, prepared_folder(data, jobs)) / "val.jsonl";
}

/// One folder a subject, or the folder `all` with the subject as a column.
std::vector<ParquetJob> mmlu_jobs(const fs::path& snapshot) {
  std::vector<ParquetJob> jobs;
  const auto add = [&](const fs::path& folder, const std::string& subject) {
    for (const Split& split : kMmluSplits) {
      const auto files = split_files(folder, split);
      if (files.empty() || files.front().extension() != kParquet) continue;
      jobs.push_back({.inputs = files,
                      .output = fmt::format("{0}/{1}_{0}.jsonl", split.name, subject),
                      .by = subject == "{}" ? "subject" : ""});
    }
  };
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(snapshot, error)) {
    const std::string name = entry.path().filename().string();
    if (!mmlu_group(name).empty()) add(entry.path(), name);
  }
  std::ranges::sort(jobs, {}, &ParquetJob::output);
  // Parts of both would answer for subjects twice.
  if (jobs.empty()) add(snapshot / "all", "{}");
  return jobs;
}

fs::path mmlu_folder(const HubData& data, const fs::path& snapshot) {
  std::error_code error;
  for (const fs::path& folder : {snapshot, snapshot / "data"}) {
    if (fs::is_directory(folder / "dev", error)) return folder;  // the official folders
  }
  const auto jobs = mmlu_jobs(snapshot);
  const auto has = [&](std::string_view split) {
    return std::ranges::any_of(
        jobs, [&](const ParquetJob& job) { return job.output.starts_with(split); });
  };
  if (!has("test/") && !has("val/")) fail_no_split(snapshot, "test");
  return convert_parquet(jobs, prepared_folder(data, jobs));
}

}  // namespace

bool has_hub_data(std::string_view task) {
  return std::ranges::find(kSources, task, &Source::task) != kSources.end();
}

HubData find_hub_data(const std::string& task, const std::string& revision) {
  std::string missing;
  for (const Source& source : kSources) {
    if (source.task != task) continue;
    const files::RepoName name{std::string(source.repo),
                               revision.empty() ? std::string(source.revision) : revision};
    const auto found = files::look_for_dataset(name);
    if (!found.snapshot.empty()) {
      HubData data{.path = {}, .repo = name.repo, .revision = found.snapshot.filename().string()};
      data.path = task == "mmlu" ? mmlu_folder(data, found.snapshot)
                                 : one_split(data, found.snapshot / source.folder);
      return data;
    }
    missing += (missing.empty() ? "" : "; ") + found.reason;
  }
  if (missing.empty()) fail(ErrorCode::usage, "{}: no data set of the hub stands for it", task);
  fail(ErrorCode::io,
       "{0}: no file was given, and its data set is not in the Hugging Face cache: "
       "{1}; or name a file: {0}=PATH",
       task, missing);
}

}  // namespace assay::tasks
