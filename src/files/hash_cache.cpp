#include "files/hash_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "base/error.h"
#include "base/io.h"

namespace assay::files {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
constexpr std::size_t kDigest = 64;

std::string identity(const struct stat& s) {
  return fmt::format("{} {} {} {}.{:09} {}.{:09} ", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec,
                     s.st_mtim.tv_nsec, s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

bool is_digest(std::string_view text) {
  return text.size() == kDigest &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::filesystem::path own_cache_folder() {
  const auto variable = [](const char* name) -> std::string_view {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (!variable("ASSAY_CACHE").empty()) return variable("ASSAY_CACHE");
  const std::string_view xdg = variable("XDG_CACHE_HOME");
  if (!xdg.empty()) return std::filesystem::path(xdg) / "assay";
  const std::string_view home = variable("HOME");
  if (!home.empty()) return std::filesystem::path(home) / ".cache" / "assay";
  return {};
}

HashCache::HashCache() {
  const std::filesystem::path folder = own_cache_folder();
  if (!folder.empty()) file_ = folder / "file-hashes";
}

std::optional<std::string> HashCache::find(const struct stat& status) const {
  if (file_.empty()) return std::nullopt;
  std::string text;
  try {
    text = base::read_text(file_, kMaxBytes);
  } catch (const Error&) {
    return std::nullopt;
  }
  const std::string wanted = identity(status);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line.starts_with(wanted)) continue;
    const std::string_view digest = line.substr(wanted.size());
    if (is_digest(digest)) return std::string(digest);
  }
  return std::nullopt;
}

void HashCache::remember(const struct stat& status, const std::string& digest) const {
  if (file_.empty() || std::time(nullptr) - status.st_ctim.tv_sec <= 2) return;
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  // One that has grown too large to be read is begun anew.
  const auto size = std::filesystem::file_size(file_, ignored);
  const bool full = !ignored && size + 1024 > kMaxBytes;
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (full ? O_TRUNC : O_APPEND);
  const int fd = ::open(file_.c_str(), flags, 0666);
  if (fd < 0) return;
  // One write of a whole line: appends of several processes do not mix. The leading newline ends
  // a line that a full disk may have cut.
  const std::string line = "\n" + identity(status) + digest + "\n";
  const ssize_t written = ::write(fd, line.data(), line.size());
  (void)written;  // a line cut short is no digest and will be ignored
  ::close(fd);
}

}  // namespace assay::files
