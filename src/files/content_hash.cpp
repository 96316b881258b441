#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "files/field_error.h"
#include "files/hash_cache.h"
#include "files/tensor_file.h"

namespace assay::files {

namespace {

namespace fs = std::filesystem;

/// Read, not mapped: a file of any size passes through one small buffer.
class HashedFile {
 public:
  explicit HashedFile(const fs::path& path)
      : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) fail_errno("open");
  }
  ~HashedFile() { ::close(fd_); }
  HashedFile(const HashedFile&) = delete;
  HashedFile& operator=(const HashedFile&) = delete;

  [[nodiscard]] struct stat status() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail_errno("read");
    const bool regular = S_ISREG(status.st_mode);
    if (!regular) fail(ErrorCode::io, "{}: is not a regular file", shown(path_));
    return status;
  }

  [[nodiscard]] std::string digest(std::uint64_t size, const base::ProgressSink& progress) const {
    const std::string stage = "hash " + shown(path_.filename());
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    base::Sha256 hash;
    std::uint64_t done = 0;
    while (true) {
      base::check_interrupted();
      const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail_errno("read");
      if (count == 0) return hash.hex();
      hash.update(std::span<const std::byte>(buffer).first(static_cast<std::size_t>(count)));
      done += static_cast<std::uint64_t>(count);
      if (progress && size > 0) {
        progress(stage, std::min(1.0, static_cast<double>(done) / static_cast<double>(size)));
      }
    }
  }

 private:
  [[noreturn]] void fail_errno(const char* action) const {
    const int error = errno;
    fail(ErrorCode::io, "{}: cannot {}: {}", shown(path_), action, std::strerror(error));
  }

  const fs::path& path_;
  int fd_;
};

bool same(const struct stat& a, const struct stat& b) {
  const auto key = [](const struct stat& s) {
    return std::array<std::int64_t, 5>{s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
                                       s.st_ctim.tv_sec, s.st_ctim.tv_nsec};
  };
  return key(a) == key(b);
}

}  // namespace

std::string content_hash(const fs::path& file, const base::ProgressSink& progress) {
  const HashedFile source(file);
  const struct stat before = source.status();
  const HashCache cache;
  if (auto known = cache.find(before)) return *known;
  std::string digest = source.digest(static_cast<std::uint64_t>(before.st_size), progress);
  if (!same(before, source.status())) {
    fail(ErrorCode::io, "{}: changed while it was read; run again when it is complete",
         shown(file));
  }
  cache.remember(before, digest);
  return digest;
}

std::string content_hash(const ModelFiles& files, const base::ProgressSink& progress) {
  const std::array<std::pair<std::string_view, const fs::path*>, 5> parts = {
      {{"weights", &files.weights},
       {"config", &files.config},
       {"tokenizer", &files.tokenizer},
       {"vocab", &files.vocab},
       {"tokenizer_config", &files.tokenizer_config}}};
  base::Sha256 hash;
  for (const auto& [role, path] : parts) {
    if (!path->empty()) hash.update(fmt::format("{} {}\n", role, content_hash(*path, progress)));
  }
  for (const fs::path& shard : files.shards) {
    hash.update(fmt::format("shard {}\n", content_hash(shard, progress)));
  }
  return hash.hex();
}

}  // namespace assay::files
