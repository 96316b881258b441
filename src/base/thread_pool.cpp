#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cfenv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <fstream>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/cpu_quota.h"
#include "base/error.h"

namespace assay::base {
namespace {

/// Long enough for the serial code between two layers, short enough to leave the core alone between
/// two requests.
constexpr std::chrono::microseconds kSpinTime{200};

/// CPUs this thread may run on, ascending. Masks of more than 1024 CPUs need a larger set.
std::vector<int> affinity_cpus() {
  for (int capacity = 1024; capacity <= (1 << 20); capacity *= 2) {
    cpu_set_t* set = CPU_ALLOC(capacity);
    if (set == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(capacity);
    CPU_ZERO_S(size, set);
    const int status = sched_getaffinity(0, size, set);
    const bool too_small = status != 0 && errno == EINVAL;
    std::vector<int> cpus;
    for (int cpu = 0; status == 0 && cpu < capacity; ++cpu) {
      if (CPU_ISSET_S(cpu, size, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (!too_small) return cpus;
  }
  return {};
}

/// The lowest hardware thread of the core that `cpu` belongs to.
int core_of(int cpu) {
  std::ifstream file(
      fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
  int first = cpu;
  file >> first;
  return first;
}

/// CPUs for the workers, the caller's core last: one hardware thread of every core comes first.
std::vector<int> worker_cpus(std::vector<int> cpus) {
  const int own = sched_getcpu();
  std::vector<std::pair<int, int>> ranked;  // (how many of the core come before, cpu)
  std::vector<int> cores;
  for (const int cpu : cpus) {
    const int core = core_of(cpu);
    const auto before = static_cast<int>(std::count(cores.begin(), cores.end(), core));
    cores.push_back(core);
    ranked.emplace_back(cpu == own ? static_cast<int>(cpus.size()) : before, cpu);
  }
  std::sort(ranked.begin(), ranked.end());
  std::transform(ranked.begin(), ranked.end(), cpus.begin(), [](auto& p) { return p.second; });
  return cpus;
}

void pin_this_thread(int cpu) {
  cpu_set_t* set = CPU_ALLOC(cpu + 1);
  if (set == nullptr) return;
  const std::size_t size = CPU_ALLOC_SIZE(cpu + 1);
  CPU_ZERO_S(size, set);
  CPU_SET_S(cpu, size, set);
  sched_setaffinity(0, size, set);  // best effort: an unpinned worker is slower, not wrong
  CPU_FREE(set);
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/// Spins until ready() or the time is over.
template <typename Ready>
bool spin_until(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  while (true) {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      relax();
    }
    if (std::chrono::steady_clock::now() >= end) return ready();
  }
}

}  // namespace

int available_threads() {
  const auto cpus = std::max<double>(1, static_cast<double>(affinity_cpus().size()));
  return std::max(1, static_cast<int>(std::floor(std::min(cpus, cpu_quota()))));
}

/// A waiter announces itself in `sleepers` before its last look at the awaited value, and a waker
/// changes the value before it looks at `sleepers`; both in sequentially consistent order, so one
/// of the two always sees the other.
struct ThreadPool::Team {
  struct Gate {
    std::mutex mutex;
    std::condition_variable condition;
    std::atomic<int> sleepers{0};

    template <typename Ready>
    void wait(bool spin, const Ready& ready) {
      if (spin ? spin_until(ready) : ready()) return;
      std::unique_lock lock(mutex);
      sleepers.fetch_add(1);
      condition.wait(lock, ready);
      sleepers.fetch_sub(1);
    }
    void wake() {
      if (sleepers.load() == 0) return;
      { std::lock_guard lock(mutex); }
      condition.notify_all();
    }
  };

  alignas(64) std::atomic<std::uint32_t> epoch{0};
  alignas(64) std::atomic<int> pending{0};
  alignas(64) std::atomic<bool> busy{false};
  Gate start;
  Gate finish;
  bool spin = false;
  bool stop = false;  // this and the next three are published by `epoch`
  std::int64_t count = 0;
  Part part = nullptr;
  const void* body = nullptr;
  std::vector<std::exception_ptr> errors;
  std::vector<std::thread> workers;

  void call(int thread) noexcept {
    const auto threads = static_cast<std::int64_t>(errors.size());
    const std::int64_t share = count / threads;
    const std::int64_t extra = count % threads;
    const std::int64_t begin = thread * share + std::min<std::int64_t>(thread, extra);
    const std::int64_t end = begin + share + (thread < extra ? 1 : 0);
    if (begin == end) return;
    try {
      part(body, thread, begin, end);
    } catch (...) {
      errors[static_cast<std::size_t>(thread)] = std::current_exception();
    }
  }

  void work(int thread, int cpu) {
    std::fesetenv(FE_DFL_ENV);
    if (cpu >= 0) pin_this_thread(cpu);
    std::uint32_t seen = 0;
    while (true) {
      start.wait(spin, [&] { return epoch.load() != seen; });
      ++seen;
      if (stop) return;
      call(thread);
      if (pending.fetch_sub(1) == 1) finish.wake();
    }
  }

  void release() {
    epoch.fetch_add(1);
    start.wake();
  }

  void join() {
    stop = true;
    release();
    for (std::thread& worker : workers) worker.join();
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads), team_(std::make_unique<Team>()) {
  if (threads < 1)
    fail(ErrorCode::usage, "the number of threads is {}; it must be 1 or more", threads);
  team_->errors.resize(static_cast<std::size_t>(threads));
  const std::vector<int> mask = affinity_cpus();
  team_->spin = threads <= available_threads();
  // Under a quota the CPUs of the mask are shared with other groups: leave the choice to the
  // kernel.
  const bool pin = team_->spin && cpu_quota() >= static_cast<double>(mask.size());
  const std::vector<int> cpus = pin && threads > 1 ? worker_cpus(mask) : std::vector<int>{};

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
  try {
    for (int i = 1; i < threads; ++i) {
      const int cpu = pin ? cpus[static_cast<std::size_t>(i - 1)] : -1;
      team_->workers.emplace_back([team = team_.get(), i, cpu] { team->work(i, cpu); });
    }
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    team_->join();
    fail(ErrorCode::io, "cannot start thread {} of {}: {}; ask for fewer threads",
         team_->workers.size() + 1, threads, error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPool::~ThreadPool() { team_->join(); }

void ThreadPool::run(std::int64_t count, Part part, const void* body) {
  if (count <= 0) return;
  if (count == 1 || threads_ == 1) {
    part(body, 0, 0, count);
    return;
  }
  Team& team = *team_;
  if (team.busy.exchange(true)) {
    fail(ErrorCode::internal, "a thread pool was used from within its own parallel_for");
  }
  team.count = count;
  team.part = part;
  team.body = body;
  team.pending.store(threads_ - 1);
  team.release();
  team.call(0);
  team.finish.wait(team.spin, [&] { return team.pending.load() == 0; });
  std::exception_ptr first;
  for (std::exception_ptr& error : team.errors) {
    if (error != nullptr && first == nullptr) first = error;
    error = nullptr;
  }
  team.busy.store(false);
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace assay::base
