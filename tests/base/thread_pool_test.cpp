#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_quota.h"
#include "base/error.h"

namespace assay::base {
namespace {

namespace fs = std::filesystem;

TEST(ThreadPool, PartsAreContiguousEqualAndComplete) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 6, 7, 8, 100}) {
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
      std::atomic<std::int64_t> smallest{std::numeric_limits<std::int64_t>::max()};
      std::atomic<std::int64_t> largest{0};
      std::atomic<int> calls{0};
      pool.parallel_for(count, [&](int thread, std::int64_t begin, std::int64_t end) {
        ASSERT_GE(thread, 0);
        ASSERT_LT(thread, threads);
        ASSERT_LT(begin, end);
        for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
        std::int64_t seen = smallest;
        while (end - begin < seen && !smallest.compare_exchange_weak(seen, end - begin)) {
        }
        seen = largest;
        while (end - begin > seen && !largest.compare_exchange_weak(seen, end - begin)) {
        }
        ++calls;
      });
      for (const auto& hit : hits) EXPECT_EQ(hit, 1);
      EXPECT_EQ(calls, std::min<std::int64_t>(count, threads));
      if (count > 0) {
        EXPECT_LE(largest - smallest, 1);
      }
    }
  }
}

TEST(ThreadPool, DivisionIsTheSameEveryTime) {
  ThreadPool pool(3);
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::vector<int> owner(10, -1);
    pool.parallel_for(10, [&](int thread, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) owner[static_cast<std::size_t>(i)] = thread;
    });
    ASSERT_EQ(owner, (std::vector<int>{0, 0, 0, 0, 1, 1, 1, 2, 2, 2}));
  }
}

TEST(ThreadPool, ManyShortCallsWithAndWithoutPauses) {
  for (const int threads : {2, 5}) {
    ThreadPool pool(threads);
    std::vector<std::int64_t> sums(static_cast<std::size_t>(threads) * 16);
    for (int repeat = 0; repeat < 2000; ++repeat) {
      pool.parallel_for(threads, [&](int thread, std::int64_t, std::int64_t) {
        ++sums[static_cast<std::size_t>(thread) * 16];  // a lost or doubled call shows in the count
      });
      if (repeat % 400 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    for (int t = 0; t < threads; ++t) EXPECT_EQ(sums[static_cast<std::size_t>(t) * 16], 2000);
  }
}

TEST(ThreadPool, AnExceptionInAnyPartReachesTheCallerAndThePoolLives) {
  ThreadPool pool(4);
  for (int thrower = 0; thrower < 4; ++thrower) {
    const auto body = [&](int thread, std::int64_t, std::int64_t) {
      if (thread == thrower) fail(ErrorCode::numeric, "part {}", thread);
    };
    try {
      pool.parallel_for(8, body);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::numeric);
      EXPECT_EQ(std::string(error.what()), fmt::format("part {}", thrower));
    }
    std::atomic<int> calls{0};
    pool.parallel_for(8, [&](int, std::int64_t, std::int64_t) { ++calls; });
    EXPECT_EQ(calls, 4);
  }
}

TEST(ThreadPool, UseFromWithinIsAnErrorNotADeadlock) {
  ThreadPool pool(2);
  const auto nested = [&](int, std::int64_t, std::int64_t) {
    pool.parallel_for(2, [](int, std::int64_t, std::int64_t) {});
  };
  EXPECT_THROW(pool.parallel_for(2, nested), Error);
}

TEST(ThreadPool, RejectsLessThanOneThread) { EXPECT_THROW(ThreadPool(0), Error); }

TEST(ThreadPool, WorkersKeepDenormalsAndRoundToNearest) {
  ThreadPool pool(3);
  std::atomic<int> good{0};
  pool.parallel_for(3, [&](int, std::int64_t, std::int64_t) {
    const volatile float smallest = std::numeric_limits<float>::min();
    const volatile float half = smallest / 2;
    if (half > 0 && half * 2 == smallest && std::fegetround() == FE_TONEAREST) ++good;
  });
  EXPECT_EQ(good, 3);
}

TEST(AvailableThreads, IsWithinTheMachine) {
  EXPECT_GE(available_threads(), 1);
  EXPECT_LE(available_threads(), static_cast<int>(std::thread::hardware_concurrency()));
}

/// A made-up root with its own /proc and cgroup mounts.
class CpuQuota : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            fmt::format("quota_{}", ::testing::UnitTest::GetInstance()->random_seed()) /
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  fs::path root_;
};

TEST_F(CpuQuota, NoFilesMeanNoQuota) { EXPECT_EQ(cpu_quota(root_), kNoCpuQuota); }

TEST_F(CpuQuota, Version2TakesTheSmallestOfTheAncestors) {
  write("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup rw\n");
  write("proc/self/cgroup", "0::/a.slice/b.scope\n");
  write("sys/fs/cgroup/a.slice/b.scope/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(cpu_quota(root_), 4.0);
  write("sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(cpu_quota(root_), 1.5);
  write("sys/fs/cgroup/a.slice/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota(root_), kNoCpuQuota);
}

TEST_F(CpuQuota, Version2InAContainerThatSeesItsOwnRoot) {
  write("proc/self/mountinfo", "31 23 0:28 /pod/c1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
  write("proc/self/cgroup", "0::/pod/c1\n");
  write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_DOUBLE_EQ(cpu_quota(root_), 2.0);
}

TEST_F(CpuQuota, Version1ReadsTheCpuController) {
  write("proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/jobs/7\n0::/\n");
  write("sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpu_quota(root_), kNoCpuQuota);
  write("sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_quota_us", "250000\n");
  EXPECT_DOUBLE_EQ(cpu_quota(root_), 2.5);
}

}  // namespace
}  // namespace assay::base
