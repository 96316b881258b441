#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace assay::study {

/// Length-prefixed (u32, little endian) frames over a pipe. Writing to a closed pipe is an io error,
/// never SIGPIPE. Frames above 1 GiB are refused.
void write_frame(int fd, const void* data, std::size_t size);
/// False at a clean end of file; bad_data when the stream ends inside a frame.
[[nodiscard]] bool read_frame(int fd, std::vector<std::byte>& frame);

/// A child process that runs this executable with other arguments: posix_spawn, own process group, dies
/// with its parent (PR_SET_PDEATHSIG set by the child at start), `spec` on its standard input, frames
/// on file descriptor 3, standard error to `stderr_path` or inherited.
class Child {
 public:
  Child(const std::vector<std::string>& arguments, const std::string& input,
        const std::string& stderr_path = {});
  ~Child();  ///< kills (SIGKILL) and reaps if still running
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int output() const { return output_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Waits; returns the status of waitpid.
  [[nodiscard]] int wait();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// Path of this executable (/proc/self/exe), or ASSAY_EXECUTABLE when set (tests).
[[nodiscard]] std::string executable_path();

}  // namespace assay::study
