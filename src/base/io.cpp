#include "base/io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"

namespace assay::base {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_io(const fs::path& file, std::string_view action, int error) {
  fail(ErrorCode::io, "{}: cannot {}: {}", printable(file.native(), 1000), action,
       std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return fd_; }
  /// 0 or the error of close(), which is where some file systems report a full disk.
  [[nodiscard]] int close() {
    const int status = ::close(fd_);
    fd_ = -1;
    return status == 0 ? 0 : errno;
  }

 private:
  int fd_;
};

bool is_plain(char32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
  // Line separators, direction overrides, zero-width characters and tags would let a name look
  // like another, or break the line.
  const bool invisible = (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
                         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
                         (c >= 0xe0000 && c <= 0xe007f);
  return !control && !invisible;
}

std::string escaped(std::string_view bytes) {
  if (bytes == "\n") return "\\n";
  if (bytes == "\t") return "\\t";
  if (bytes == "\r") return "\\r";
  std::string text;
  for (const char c : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return text;
}

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

int write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// Makes the rename itself durable. Some file systems refuse fsync on a folder; the content is
/// safe all the same, so that is no error.
void sync_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) (void)::fsync(fd.get());
}

}  // namespace

std::string read_text(const fs::path& file, std::size_t max_bytes) {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail_io(file, "open", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_io(file, "read", errno);
  if (S_ISDIR(status.st_mode)) fail_io(file, "read", EISDIR);

  const auto too_large = [&] {
    fail(ErrorCode::bad_data, "{}: is larger than the {} bytes that such a file may have",
         printable(file.native(), 1000), max_bytes);
  };
  // The size is only a hint: pipes have none, and a file may grow while it is read.
  const auto hint = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  if (hint > max_bytes) too_large();
  std::string text;
  text.reserve(hint);
  char chunk[65536];
  while (true) {
    const ssize_t count = ::read(fd.get(), chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_io(file, "read", errno);
    if (count == 0) return text;
    if (static_cast<std::size_t>(count) > max_bytes - text.size()) too_large();
    text.append(chunk, static_cast<std::size_t>(count));
  }
}

void write_atomically(const fs::path& file, std::string_view content) {
  std::error_code ignored;
  // Through a link, the file it points to is replaced, not the link.
  const fs::path target = fs::is_symlink(file, ignored) ? fs::weakly_canonical(file) : file;
  fs::path temporary;
  Descriptor fd(create_beside(target, temporary));
  if (fd.get() < 0) fail_io(target, "write", errno);

  struct stat old {};
  if (::stat(target.c_str(), &old) == 0) (void)::fchmod(fd.get(), old.st_mode & 07777);
  int error = write_all(fd.get(), content);
  if (error == 0 && ::fsync(fd.get()) != 0) error = errno;
  const int close_error = fd.close();
  if (error == 0) error = close_error;
  if (error == 0 && ::rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail_io(target, "write", error);
  }
  sync_folder(target);
}

std::string printable(std::string_view text, std::size_t max_length) {
  constexpr std::string_view kCut = "...";
  std::string line;
  std::size_t fits = 0;  // where to cut so that "..." still fits
  while (!text.empty()) {
    const Utf8Char next = decode_utf8(text);
    const auto length = static_cast<std::size_t>(std::max(next.length, 1));
    const std::string_view bytes = text.substr(0, length);
    const bool plain = next.length > 0 && is_plain(next.code);
    if (bytes == "\\") {
      line += "\\\\";
    } else if (plain) {
      line += bytes;
    } else {
      line += escaped(bytes);
    }
    if (line.size() > max_length) {
      line.resize(fits);
      return line.append(kCut.substr(0, max_length - fits));
    }
    if (line.size() + kCut.size() <= max_length) fits = line.size();
    text.remove_prefix(length);
  }
  return line;
}

}  // namespace assay::base
