#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "study/channel.h"

extern char** environ;

namespace assay::study {
namespace {

/// The child compares it with getppid(): a parent that died before prctl() would never be noticed.
constexpr const char* kParentVariable = "ASSAY_PARENT_PID";
/// Above every descriptor that the child's file actions overwrite.
constexpr int kFirstFreeDescriptor = 10;
constexpr double kWaitStep = 0.01;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int fd_ = -1;
};

Descriptor moved_up(int fd) {
  const Descriptor low(fd);
  const int high = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFreeDescriptor);
  if (high < 0) {
    fail(ErrorCode::io, "no file descriptor for a child process: {}", std::strerror(errno));
  }
  return Descriptor(high);
}

/// A file in memory, so that a child that reads late or never cannot block the parent.
Descriptor memory_file(const std::string& content) {
  Descriptor file = moved_up(::memfd_create("assay-input", MFD_CLOEXEC));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t wrote = ::write(file.get(), content.data() + done, content.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail(ErrorCode::io, "cannot pass a cell to a child: {}", std::strerror(errno));
    done += static_cast<std::size_t>(wrote);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void duplicate(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
  void open(int fd, const std::string& path) {
    ::posix_spawn_file_actions_addopen(&actions_, fd, path.c_str(),
                                       O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

/// Own process group (so that the terminal's Ctrl-C reaches the parent alone), no blocked signals,
/// and the default disposition of those that a runner handles.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) {
      sigaddset(&defaults, number);
    }
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaults);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

std::vector<std::string> child_environment() {
  const std::string prefix = std::string(kParentVariable) + "=";
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(prefix)) result.emplace_back(*entry);
  }
  result.push_back(prefix + std::to_string(::getpid()));
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::string executable_path() {
  if (const char* forced = std::getenv("ASSAY_EXECUTABLE"); forced != nullptr && *forced != 0) {
    return forced;
  }
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) fail(ErrorCode::io, "cannot read /proc/self/exe: {}", error.message());
  // A binary that was replaced while it ran reads "... (deleted)"; the link itself still opens it.
  return std::filesystem::exists(path, error) ? path.string() : "/proc/self/exe";
}

Child::Child(const std::vector<std::string>& arguments, const std::string& input,
             const std::string& stderr_path) {
  const Descriptor standard_input = memory_file(input);
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    fail(ErrorCode::io, "no pipe for a child process: {}", std::strerror(errno));
  }
  Descriptor read_end(ends[0]);
  const Descriptor write_end = moved_up(ends[1]);

  FileActions actions;
  actions.duplicate(standard_input.get(), STDIN_FILENO);
  if (!stderr_path.empty()) actions.open(STDERR_FILENO, stderr_path);
  actions.duplicate(STDERR_FILENO, STDOUT_FILENO);  // standard output is for the parent's results
  actions.duplicate(write_end.get(), kChildOutput);

  std::vector<std::string> words = {executable_path()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = child_environment();
  const SpawnAttributes attributes;
  const int error = ::posix_spawn(&pid_, words[0].c_str(), actions.get(), attributes.get(),
                                  pointers(words).data(), pointers(variables).data());
  if (error != 0) {
    pid_ = -1;
    fail(ErrorCode::io, "cannot start {}: {}", words[0], std::strerror(error));
  }
  output_ = read_end.release();
}

Child::~Child() {
  if (pid_ >= 0 && !status_) {
    signal(SIGKILL);
    static_cast<void>(wait());
  }
  if (output_ >= 0) ::close(output_);
}

void Child::signal(int number) const {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

int Child::wait() {
  int status = 0;
  while (!status_) {
    const pid_t done = ::waitpid(pid_, &status, 0);
    if (done == pid_) {
      status_ = status;
    } else if (errno != EINTR) {
      fail(ErrorCode::internal, "lost the child process {}: {}", pid_, std::strerror(errno));
    }
  }
  return *status_;
}

std::optional<int> Child::wait_for(double seconds) {
  int status = 0;
  for (double waited = 0.0; !status_; waited += kWaitStep) {
    const pid_t done = ::waitpid(pid_, &status, WNOHANG);
    if (done == pid_) status_ = status;
    if (done == pid_ || waited >= seconds) break;
    const timespec step{.tv_sec = 0, .tv_nsec = static_cast<long>(kWaitStep * 1e9)};
    ::nanosleep(&step, nullptr);
  }
  return status_;
}

void prepare_child() {
  const char* text = std::getenv(kParentVariable);
  if (text == nullptr) return;
  pid_t parent = 0;
  std::from_chars(text, text + std::strlen(text), parent);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::fcntl(kChildOutput, F_SETFD, FD_CLOEXEC);
}

}  // namespace assay::study
