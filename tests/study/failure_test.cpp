#include "study/failure.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "base/scratch_folder.h"

namespace assay::study {
namespace {

using testing::ScratchFolder;

constexpr int exited(int code) { return code << 8; }

TEST(FailureWords, AKillIsOutOfMemoryOnlyWhenTheCounterRose) {
  const BeforeStart before{.model = "m", .oom_kills = 3};
  EXPECT_EQ(classify_exit(SIGKILL, before, 4, "").status, "oom");
  EXPECT_EQ(classify_exit(SIGKILL, before, 3, "").status, "failed");
  EXPECT_EQ(classify_exit(SIGSEGV, before, 4, "").status, "failed");
  EXPECT_EQ(classify_exit(SIGKILL, {.model = "m", .oom_kills = -1}, 1, "").status, "failed");
}

TEST(FailureWords, NameTheSignalTheCodeAndTheLastWords) {
  const BeforeStart before{.model = "m"};
  EXPECT_NE(classify_exit(SIGFPE, before, -1, "").reason.find("SIGFPE"), std::string::npos);
  EXPECT_EQ(classify_exit(exited(9), before, -1, "no luck").reason,
            "its process ended with exit code 9; its last words: no luck");
}

TEST(OomKills, AreReadFromEitherVersionOfCgroups) {
  const ScratchFolder two;
  two.write("proc/self/cgroup", "0::/a/b\n");
  two.write("sys/fs/cgroup/a/b/memory.events", "low 0\noom 2\noom_kill 5\n");
  two.write("proc/vmstat", "oom_kill 9\n");
  EXPECT_EQ(oom_kills(two.path()), 5);

  const ScratchFolder one;
  one.write("proc/self/cgroup", "5:cpu:/x\n4:memory:/y\n0::/\n");
  one.write("sys/fs/cgroup/memory/y/memory.oom_control", "oom_kill_disable 0\noom_kill 1\n");
  EXPECT_EQ(oom_kills(one.path()), 1);

  const ScratchFolder none;
  none.write("proc/vmstat", "nr_free 1\noom_kill 9\n");
  EXPECT_EQ(oom_kills(none.path()), 9);
  EXPECT_EQ(oom_kills(ScratchFolder().path()), -1);
}

TEST(WeightsSize, IsThatOfTheFileOrUnknown) {
  const ScratchFolder folder;
  EXPECT_EQ(weights_size(folder.write("m.gguf", "12345").string()), 5);
  EXPECT_EQ(weights_size("/nowhere/m.gguf"), -1);
  const auto part = folder.write("s-00001-of-00002.gguf", "123");
  EXPECT_EQ(weights_size(part.string()), -1) << "a part is missing";
  folder.write("s-00002-of-00002.gguf", "4567");
  EXPECT_EQ(weights_size(part.string()), 7) << "of all parts";
}

}  // namespace
}  // namespace assay::study
