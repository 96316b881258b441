#include "study/channel.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "base/scratch_folder.h"
#include "study/cell.h"

namespace assay::study {
namespace {

using testing::expect_error;

struct Pipe {
  Pipe() {
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  void close_read() {
    if (ends[0] >= 0) ::close(ends[0]);
    ends[0] = -1;
  }
  void close_write() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  void put(const std::string& bytes) const {
    ASSERT_EQ(::write(ends[1], bytes.data(), bytes.size()), ssize_t(bytes.size()));
  }
  int ends[2] = {-1, -1};
};

std::string text_of(const std::vector<std::byte>& frame) {
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

TEST(Frames, ComeBackInOrderWithAnyBytes) {
  Pipe pipe;
  const std::string zeros(3, '\0');
  for (const std::string& text : {std::string("one"), std::string(), zeros}) {
    write_frame(pipe.ends[1], text.data(), text.size());
  }
  pipe.close_write();
  std::vector<std::byte> frame;
  ASSERT_TRUE(read_frame(pipe.ends[0], frame));
  EXPECT_EQ(text_of(frame), "one");
  ASSERT_TRUE(read_frame(pipe.ends[0], frame));
  EXPECT_EQ(text_of(frame), "");
  ASSERT_TRUE(read_frame(pipe.ends[0], frame));
  EXPECT_EQ(text_of(frame), zeros);
  EXPECT_FALSE(read_frame(pipe.ends[0], frame));
}

TEST(Frames, LargerThanThePipeGoThrough) {
  Pipe pipe;
  const std::string large(3'000'000, 'x');
  std::thread writer([&] { write_frame(pipe.ends[1], large.data(), large.size()); });
  std::vector<std::byte> frame;
  EXPECT_TRUE(read_frame(pipe.ends[0], frame));
  writer.join();
  EXPECT_EQ(text_of(frame), large);
}

TEST(Frames, AStreamThatEndsInsideOneIsBadData) {
  for (const std::string& bytes : {std::string("\x05\0", 2), std::string("\x05\0\0\0ab", 6)}) {
    Pipe pipe;
    pipe.put(bytes);
    pipe.close_write();
    std::vector<std::byte> frame;
    expect_error(ErrorCode::bad_data, {"child process ended"},
                 [&] { (void)read_frame(pipe.ends[0], frame); });
  }
}

TEST(Frames, AnAbsurdLengthIsRefusedBeforeMemoryIsTaken) {
  Pipe pipe;
  pipe.put("\xff\xff\xff\xff");
  std::vector<std::byte> frame;
  expect_error(ErrorCode::bad_data, {"4294967295", "1073741824"},
               [&] { (void)read_frame(pipe.ends[0], frame); });
  EXPECT_EQ(frame.capacity(), 0U);
}

TEST(Frames, WritingToAClosedPipeIsAnErrorAndNoSignal) {
  Pipe pipe;
  pipe.close_read();
  for (int i = 0; i < 2; ++i) {
    expect_error(ErrorCode::io, {"cannot write"}, [&] { write_frame(pipe.ends[1], "x", 1); });
  }
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(Frames, TheBufferGivesThemWhenTheyAreComplete) {
  Pipe pipe;
  FrameBuffer buffer;
  pipe.put(std::string("\x03\0\0\0ab", 6));
  ASSERT_TRUE(buffer.fill(pipe.ends[0]));
  EXPECT_FALSE(buffer.next().has_value());
  EXPECT_TRUE(buffer.partial());
  pipe.put(std::string("c\x01\0\0\0d", 6));
  ASSERT_TRUE(buffer.fill(pipe.ends[0]));
  EXPECT_EQ(buffer.next(), "abc");
  EXPECT_EQ(buffer.next(), "d");
  EXPECT_FALSE(buffer.next().has_value());
  EXPECT_FALSE(buffer.partial());
  pipe.close_write();
  EXPECT_FALSE(buffer.fill(pipe.ends[0]));
}

std::string spec(const std::string& script) {
  return Cell{.id = script, .model = "m", .recipe_name = script}.to_json().dump();
}

TEST(Child, ReadsItsInputAndSendsFrames) {
  Child child({"cell"}, spec("ok2"));
  std::vector<std::byte> frame;
  std::vector<std::string> types;
  while (read_frame(child.output(), frame)) {
    types.push_back(base::parse_json(text_of(frame), "frame").at("type").get<std::string>());
  }
  EXPECT_EQ(types, (std::vector<std::string>{"stage", "plan", "row", "end"}));
  const int status = child.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(child.wait(), status) << "a second wait gives the same status";
}

TEST(Child, LivesInAProcessGroupOfItsOwn) {
  const Child child({"cell"}, spec("hang"));
  EXPECT_EQ(::getpgid(child.pid()), child.pid());
  EXPECT_NE(::getpgid(0), child.pid());
}

TEST(Child, IsKilledWithItsObject) {
  pid_t pid = 0;
  {
    const Child child({"cell"}, spec("hang"));
    pid = child.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Child, WaitForGivesUpInTime) {
  Child child({"cell"}, spec("hang"));
  EXPECT_FALSE(child.wait_for(0.05).has_value());
  child.signal(SIGKILL);
  const auto status = child.wait_for(10);
  ASSERT_TRUE(status.has_value());
  EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL);
}

/// The middle process starts a child that hangs, and is killed: the grandchild must go with it, and
/// the pipe whose write end only it holds must end.
TEST(Child, DiesWithItsParent) {
  Pipe pipe;
  const pid_t middle = ::fork();
  if (middle == 0) {
    const Child child({"cell"}, spec("hang"));
    std::vector<std::byte> frame;
    for (int i = 0; i < 3; ++i) (void)read_frame(child.output(), frame);  // it runs
    const pid_t pid = child.pid();
    if (::write(pipe.ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    ::pause();
  }
  pid_t grandchild = 0;
  ASSERT_EQ(::read(pipe.ends[0], &grandchild, sizeof grandchild), ssize_t(sizeof grandchild));
  ASSERT_EQ(::kill(grandchild, 0), 0);
  ::kill(middle, SIGKILL);
  ::waitpid(middle, nullptr, 0);
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::ifstream stat("/proc/" + std::to_string(grandchild) + "/stat");
    std::string line;
    std::getline(stat, line);
    gone = line.empty() || line.find(") Z ") != std::string::npos;
  }
  EXPECT_TRUE(gone);
}

TEST(Child, OneThatCannotStartIsAnError) {
  const std::string before = ::getenv("ASSAY_EXECUTABLE");
  ::setenv("ASSAY_EXECUTABLE", "/nowhere/assay", 1);
  expect_error(ErrorCode::io, {"cannot start /nowhere/assay"}, [] { const Child c({"cell"}, ""); });
  ::setenv("ASSAY_EXECUTABLE", before.c_str(), 1);
}

TEST(Child, ExecutableIsOursUnlessForced) {
  EXPECT_EQ(executable_path(), "/proc/self/exe");
  ::unsetenv("ASSAY_EXECUTABLE");
  EXPECT_EQ(executable_path(), std::filesystem::read_symlink("/proc/self/exe").string());
  ::setenv("ASSAY_EXECUTABLE", "/proc/self/exe", 1);
}

}  // namespace
}  // namespace assay::study
