#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace assay::study {

/// File descriptor on which a child writes its frames.
inline constexpr int kChildOutput = 3;

/// Length-prefixed (u32, little endian) frames over a pipe. Writing to a closed pipe is an io
/// error, never SIGPIPE. Frames above 1 GiB are refused.
void write_frame(int fd, const void* data, std::size_t size);
/// False at a clean end of file; bad_data when the stream ends inside a frame.
[[nodiscard]] bool read_frame(int fd, std::vector<std::byte>& frame);

/// Frames out of bytes as they arrive, for a reader that must never block inside a frame.
class FrameBuffer {
 public:
  /// Reads once from `fd` what is there. False at end of file.
  [[nodiscard]] bool fill(int fd);
  /// The next complete frame, if there is one; bad_data for a length above the limit.
  [[nodiscard]] std::optional<std::string> next();
  /// True when a frame has begun and is not complete.
  [[nodiscard]] bool partial() const { return begin_ < bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

/// A child process that runs this executable with other arguments: posix_spawn, own process group,
/// dies with its parent (prepare_child), `input` on its standard input, frames on kChildOutput,
/// standard output and error to `stderr_path`, or to this process's standard error.
class Child {
 public:
  Child(const std::vector<std::string>& arguments, const std::string& input,
        const std::string& stderr_path = {});
  ~Child();  ///< kills (SIGKILL) and reaps if still running
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int output() const { return output_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// No effect once the child is reaped.
  void signal(int number) const;
  /// Waits; returns the status of waitpid.
  [[nodiscard]] int wait();
  /// Waits for at most `seconds`; empty while the child is still running.
  [[nodiscard]] std::optional<int> wait_for(double seconds);

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::optional<int> status_;
};

/// Called first thing by every hidden subcommand that a Child runs: asks the kernel for SIGKILL
/// when the parent dies, leaves at once (exit code 1) if it is dead already, and keeps kChildOutput
/// from processes that this one starts. Without effect in a process that no Child started.
void prepare_child();

/// Path of this executable (/proc/self/exe), or ASSAY_EXECUTABLE when set (tests).
[[nodiscard]] std::string executable_path();

}  // namespace assay::study
