#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace assay::files {

/// "org/name@revision" in parts. A name without an organisation is one of the first models.
struct RepoName {
  std::string repo;      ///< "org/name"
  std::string revision;  ///< branch, tag or commit; "main" if none was given
};
/// Nothing if the text cannot be the name of a repository.
[[nodiscard]] std::optional<RepoName> parse_repo_name(const std::string& text);

/// Where transformers keeps what it has downloaded, and what named the place: HF_HUB_CACHE,
/// HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, else
/// ~/.cache/huggingface/hub.
struct CacheFolder {
  std::filesystem::path path;
  std::string named_by;
};
[[nodiscard]] CacheFolder cache_folder();

/// The folder or file that -m means: a path that exists, before all else; or the snapshot of
/// "org/name[@revision]" in the Hugging Face cache (read only; nothing is downloaded). Errors (io,
/// usage) say where was looked and what to do.
[[nodiscard]] std::filesystem::path find_model(const std::string& text);

/// A data set's snapshot in the cache, or why there is none, with the path that was looked for.
struct DatasetLookup {
  std::filesystem::path snapshot;  ///< empty: not there
  std::string reason;
};
/// Read only; nothing is downloaded. A reference that holds no commit is bad_data.
[[nodiscard]] DatasetLookup look_for_dataset(const RepoName& name);

/// "name" of a folder that is a snapshot of "org/name" in a cache: the folder itself is named by a
/// commit. Nothing for other folders.
[[nodiscard]] std::optional<std::string> snapshot_name(const std::filesystem::path& folder);

}  // namespace assay::files
