#include "files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/io.h"

namespace assay::files {

namespace {

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      // Without O_NONBLOCK, opening a pipe would wait for its writer.
      : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) fail_errno("open");
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  [[nodiscard]] std::size_t size() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail_errno("read");
    const bool regular = S_ISREG(status.st_mode);
    if (!regular) {
      fail(ErrorCode::io, "{}: is {}, not a file", base::printable(path_.native(), 1000),
           S_ISDIR(status.st_mode) ? "a folder" : "a pipe or device");
    }
    return static_cast<std::size_t>(status.st_size);
  }

  [[nodiscard]] const std::byte* map(std::size_t size) const {
    if (size == 0) return nullptr;
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (data == MAP_FAILED) fail_errno("map");
    return static_cast<const std::byte*>(data);
  }

 private:
  [[noreturn]] void fail_errno(const char* action) const {
    const int error = errno;
    fail(ErrorCode::io, "{}: cannot {}: {}", base::printable(path_.native(), 1000), action,
         std::strerror(error));
  }

  const std::filesystem::path& path_;
  int fd_;
};

}  // namespace

MappedFile::MappedFile(std::filesystem::path path, const std::byte* data, std::size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const OpenFile file(path);
  const std::size_t size = file.size();
  return std::shared_ptr<const MappedFile>(new MappedFile(path, file.map(size), size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace assay::files
