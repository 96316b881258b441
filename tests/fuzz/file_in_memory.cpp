#include "fuzz/file_in_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace assay::fuzz {

namespace {

[[noreturn]] void fail_call(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

int descriptor() {
  static const int fd = ::memfd_create("input", MFD_CLOEXEC);
  if (fd < 0) fail_call("memfd_create");
  return fd;
}

}  // namespace

std::filesystem::path file_in_memory(std::string_view content) {
  static const std::filesystem::path path = "/proc/self/fd/" + std::to_string(descriptor());
  if (::ftruncate(descriptor(), static_cast<off_t>(content.size())) != 0) fail_call("ftruncate");
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t written = ::pwrite(descriptor(), content.data() + done, content.size() - done,
                                     static_cast<off_t>(done));
    if (written < 0) fail_call("pwrite");
    done += static_cast<std::size_t>(written);
  }
  return path;
}

}  // namespace assay::fuzz
