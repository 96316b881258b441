#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>

namespace assay::files {

/// Where this program keeps what it can make again: $ASSAY_CACHE, $XDG_CACHE_HOME/assay or
/// ~/.cache/assay; empty if none of them is named.
[[nodiscard]] std::filesystem::path own_cache_folder();

/// Remembers digests of files by device, inode, size, mtime and ctime, in one text file of lines
/// "<identity> <digest>". Several processes may append at once. Any trouble with it means only
/// that nothing is remembered.
class HashCache {
 public:
  HashCache();  ///< in own_cache_folder()

  [[nodiscard]] std::optional<std::string> find(const struct stat& status) const;
  /// Does nothing for a file changed in the last two seconds: a further change might leave the
  /// times, whose steps can be that long, as they are.
  void remember(const struct stat& status, const std::string& digest) const;

 private:
  std::filesystem::path file_;  ///< empty: there is no place for a cache
};

}  // namespace assay::files
