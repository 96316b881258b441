#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "base/io.h"

// What the files that read and write files share.
namespace assay::base {

[[noreturn]] inline void fail_io(const std::filesystem::path& file, std::string_view action,
                                 int error) {
  fail(ErrorCode::io, "{}: cannot {}: {}", printable(file.native(), 1000), action,
       std::strerror(error));
}

/// Owner of an open file.
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

}  // namespace assay::base
