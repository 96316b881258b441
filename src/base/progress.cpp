#include "base/progress.h"

#include <atomic>
#include <csignal>

#include "base/error.h"

namespace assay::base {
namespace {

std::atomic<int> arrived_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler writes it");

}  // namespace

bool interrupted() noexcept { return arrived_signal.load(std::memory_order_relaxed) != 0; }

void request_interrupt(int signal) noexcept {
  arrived_signal.store(signal == 0 ? SIGINT : signal, std::memory_order_relaxed);
}

void check_interrupted() {
  if (!interrupted()) return;
  const int signal = arrived_signal.load(std::memory_order_relaxed);
  fail(ErrorCode::interrupted, "stopped by {}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
}

}  // namespace assay::base
