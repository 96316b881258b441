#pragma once

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <ctime>

namespace assay::study {

/// Holds one signal back from this thread and swallows what a system call of ours has raised
/// meanwhile (SIGPIPE, SIGXFSZ): the call's error says the same, and a library must not change what
/// the process does with its signals.
class HeldSignal {
 public:
  explicit HeldSignal(int number) {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, number) == 1;
    sigemptyset(&set_);
    sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~HeldSignal() {
    const int error = errno;
    const timespec now{};
    while (!was_pending_ && sigtimedwait(&set_, nullptr, &now) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  HeldSignal(const HeldSignal&) = delete;
  HeldSignal& operator=(const HeldSignal&) = delete;

 private:
  sigset_t set_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

}  // namespace assay::study
