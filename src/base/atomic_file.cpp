#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <atomic>

#include "base/descriptor.h"

namespace assay::base {

namespace {

namespace fs = std::filesystem;

/// A new file beside `file`; its name is returned in `temporary`.
int create_beside(const fs::path& file, fs::path& temporary) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100; ++attempt) {
    temporary = file;
    temporary += fmt::format(".{}-{}.tmp", ::getpid(), counter++);
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

fs::path target_of(const fs::path& file) {
  std::error_code ignored;
  return fs::is_symlink(file, ignored) ? fs::weakly_canonical(file) : file;
}

/// Makes the rename itself durable. Some file systems refuse fsync on a folder; the content is
/// safe all the same, so that is no error.
void sync_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) (void)::fsync(fd.get());
}

}  // namespace

struct AtomicFile::State {
  explicit State(const fs::path& file)
      : target(target_of(file)), fd(create_beside(target, temporary)) {}

  fs::path target;
  fs::path temporary;
  Descriptor fd;
  std::uint64_t end = 0;  ///< of what write() has written
  bool committed = false;
};

AtomicFile::AtomicFile(const fs::path& file) : state_(std::make_unique<State>(file)) {
  if (state_->fd.get() < 0) fail_io(state_->target, "write", errno);
  struct stat old {};
  if (::stat(state_->target.c_str(), &old) == 0) {
    (void)::fchmod(state_->fd.get(), old.st_mode & 07777);
  }
}

AtomicFile::~AtomicFile() {
  if (!state_->committed) ::unlink(state_->temporary.c_str());
}

void AtomicFile::write(std::string_view content) {
  write_at(state_->end, content);
  state_->end += content.size();
}

void AtomicFile::write_at(std::uint64_t offset, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written =
        ::pwrite(state_->fd.get(), content.data(), content.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(state_->target, "write", errno);
    content.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

void AtomicFile::commit() {
  int error = ::fsync(state_->fd.get()) == 0 ? 0 : errno;
  const int close_error = state_->fd.close();
  if (error == 0) error = close_error;
  if (error == 0 && ::rename(state_->temporary.c_str(), state_->target.c_str()) != 0) error = errno;
  if (error != 0) fail_io(state_->target, "write", error);
  state_->committed = true;
  sync_folder(state_->target);
}

}  // namespace assay::base
