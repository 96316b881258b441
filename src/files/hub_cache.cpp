#include "files/hub_cache.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/io.h"
#include "base/names.h"
#include "files/field_error.h"

// The layout is that of huggingface_hub: models--ORG--NAME/refs/REVISION holds a commit, and
// models--ORG--NAME/snapshots/COMMIT the files, most of them links into blobs/. Data sets lie
// beside the models as datasets--ORG--NAME.
namespace assay::files {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNames = 1000;  ///< looked at for an error message

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

/// Hugging Face's rules for one part of a name; "--" separates the parts in the cache.
bool is_name_part(std::string_view part) {
  return !part.empty() && part.size() <= 96 && part.front() != '.' && part.front() != '-' &&
         part.back() != '.' && part.back() != '-' &&
         std::all_of(part.begin(), part.end(), is_name_character) &&
         part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos;
}

bool is_revision(std::string_view text) {
  const auto allowed = [](char c) { return is_name_character(c) || c == '/' || c == '+'; };
  return !text.empty() && text.size() <= 200 && text.front() != '/' && text.front() != '.' &&
         text.back() != '/' && std::all_of(text.begin(), text.end(), allowed) &&
         text.find("..") == std::string_view::npos;
}

bool is_commit(std::string_view text) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 40 && std::all_of(text.begin(), text.end(), hex);
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

/// "~/x" under the home folder, as os.path.expanduser has it.
fs::path expanded(const std::string& text) {
  const char* home = environment("HOME");
  if (home == nullptr || text.empty() || text[0] != '~') return text;
  if (text.size() == 1) return home;
  return text[1] == '/' ? fs::path(home) / text.substr(2) : fs::path(text);
}

/// Names of what a folder holds, sorted; none if it cannot be listed.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    if (names.size() < kMostNames) names.push_back(i->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// "org/name" of every model in the cache.
std::vector<std::string> cached_repos(const fs::path& cache) {
  constexpr std::string_view kPrefix = "models--";
  std::vector<std::string> repos;
  for (const std::string& name : names_in(cache)) {
    if (!name.starts_with(kPrefix)) continue;
    std::string repo = name.substr(kPrefix.size());
    const std::size_t border = repo.find("--");
    if (border != std::string::npos) repo.replace(border, 2, "/");
    repos.push_back(base::printable(repo));
  }
  return repos;
}

constexpr std::string_view kModels = "models--";
constexpr std::string_view kDatasets = "datasets--";

std::string folder_name(std::string_view kind, const std::string& repo) {
  std::string name = std::string(kind) + repo;
  const std::size_t slash = name.find('/');
  if (slash != std::string::npos) name.replace(slash, 1, "--");
  return name;
}

[[noreturn]] void fail_not_cached(const RepoName& name, const CacheFolder& cache) {
  const std::string near = base::did_you_mean(name.repo, cached_repos(cache.path));
  fail(ErrorCode::io,
       "{0}: there is no such file or folder, and no {1} in the Hugging Face cache {2} ({3}){4}; "
       "fetch it with \"hf download {0}\", or name a local folder",
       name.repo, folder_name(kModels, name.repo), shown(cache.path), cache.named_by, near);
}

/// "a, b", or "no others".
std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + base::printable(name);
  return list.empty() ? "no others" : list;
}

std::string commit_of(const RepoName& name, const fs::path& folder) {
  if (is_commit(name.revision)) return name.revision;
  const fs::path ref = folder / "refs" / name.revision;
  std::error_code ignored;
  if (!fs::is_regular_file(ref, ignored)) {
    fail(ErrorCode::io,
         "{0}: revision '{1}' is not in the Hugging Face cache: {2} is missing; there are {3}; "
         "fetch it with \"hf download {0} --revision {1}\"",
         name.repo, name.revision, shown(ref), listed(names_in(folder / "refs")));
  }
  std::string commit = base::read_text(ref, 4096);
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  if (!is_commit(commit)) {
    fail(ErrorCode::bad_data, "{}: must hold a commit of 40 hexadecimal digits, holds '{}'",
         shown(ref), base::printable(commit));
  }
  return commit;
}

}  // namespace

std::optional<RepoName> parse_repo_name(const std::string& text) {
  const std::size_t at = text.find('@');
  RepoName name{text.substr(0, at), at == std::string::npos ? "main" : text.substr(at + 1)};
  const std::size_t slash = name.repo.find('/');
  const std::string_view repo = name.repo;
  const bool valid = slash == std::string::npos ? is_name_part(repo)
                                                : is_name_part(repo.substr(0, slash)) &&
                                                      is_name_part(repo.substr(slash + 1));
  if (!valid || !is_revision(name.revision)) return std::nullopt;
  return name;
}

CacheFolder cache_folder() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const char* value = environment(variable)) return {expanded(value), variable};
  }
  if (const char* home = environment("HF_HOME")) return {expanded(home) / "hub", "HF_HOME"};
  if (const char* cache = environment("XDG_CACHE_HOME")) {
    return {expanded(cache) / "huggingface" / "hub", "XDG_CACHE_HOME"};
  }
  return {expanded("~/.cache") / "huggingface" / "hub", "the default; HF_HOME sets another"};
}

std::optional<std::string> snapshot_name(const std::filesystem::path& folder) {
  const fs::path snapshots = folder.parent_path();
  const std::string model = snapshots.parent_path().filename().string();
  if (snapshots.filename() != "snapshots" || !model.starts_with("models--")) return std::nullopt;
  return model.substr(model.rfind("--") + 2);
}

DatasetLookup look_for_dataset(const RepoName& name) {
  const CacheFolder cache = cache_folder();
  const fs::path folder = cache.path / folder_name(kDatasets, name.repo);
  std::error_code ignored;
  fs::path wanted = folder / "snapshots" / name.revision;
  const fs::path ref = folder / "refs" / name.revision;
  if (!is_commit(name.revision) && fs::is_regular_file(ref, ignored)) {
    wanted = folder / "snapshots" / commit_of(name, folder);
  }
  if (is_commit(wanted.filename().string()) && fs::is_directory(wanted, ignored)) {
    return {.snapshot = wanted, .reason = {}};
  }
  const auto others = names_in(folder / "snapshots");
  std::string reason = fmt::format(
      "{} is missing ({}); fetch it with \"hf download {} --repo-type dataset --revision {}\"",
      shown(wanted), cache.named_by, name.repo, name.revision);
  if (!others.empty()) reason += ", or ask for a revision that is there: " + listed(others);
  return {.snapshot = {}, .reason = std::move(reason)};
}

std::filesystem::path find_model(const std::string& text) {
  std::error_code ignored;
  if (fs::exists(text, ignored)) return text;
  const auto name = parse_repo_name(text);
  if (!name) {
    fail(ErrorCode::io, "{}: there is no such file or folder, nor is it a name like org/model",
         base::printable(text, 1000));
  }
  const CacheFolder cache = cache_folder();
  const fs::path folder = cache.path / folder_name(kModels, name->repo);
  if (!fs::is_directory(folder, ignored)) fail_not_cached(*name, cache);
  const std::string commit = commit_of(*name, folder);
  fs::path snapshot = folder / "snapshots" / commit;
  if (!fs::is_directory(snapshot, ignored)) {
    fail(ErrorCode::io,
         "{0}: {1} is missing in the Hugging Face cache; fetch it with \"hf download {0} "
         "--revision {2}\"",
         name->repo, shown(snapshot), name->revision);
  }
  return snapshot;
}

}  // namespace assay::files
