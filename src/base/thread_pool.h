#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace assay::base {

/// Threads this process may use: the affinity mask cut by the cgroup's CPU quota, at least 1.
[[nodiscard]] int available_threads();

/// A fixed team of pinned threads; the caller is thread 0. Work is divided statically, so that a
/// result never depends on timing. Between two calls the workers spin for a short while (only when
/// threads <= available cores), then sleep.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const noexcept { return threads_; }

  /// Calls body(thread, begin, end) once per thread with a contiguous part of [0, count), parts as
  /// equal as possible. Blocks until all have returned. An exception in a part is rethrown here.
  /// The body is taken by reference and never allocated.
  template <typename Body>
  void parallel_for(std::int64_t count, const Body& body) {
    run(
        count,
        [](const void* f, int thread, std::int64_t begin, std::int64_t end) {
          (*static_cast<const Body*>(f))(thread, begin, end);
        },
        &body);
  }

 private:
  using Part = void (*)(const void*, int, std::int64_t, std::int64_t);
  void run(std::int64_t count, Part part, const void* body);
  struct Team;
  int threads_;
  std::unique_ptr<Team> team_;
};

}  // namespace assay::base
