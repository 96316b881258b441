#include "base/run_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/descriptor.h"

extern char** environ;

namespace assay::base {
namespace {

constexpr std::size_t kMostErrors = std::size_t{64} << 10;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const bool replaced = std::ranges::any_of(variables, [&](const auto& variable) {
      return text.substr(0, text.find('=')) == variable.first;
    });
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : variables) all.push_back(fmt::format("{}={}", name, value));
  return all;
}

struct FileActions {
  FileActions() { ::posix_spawn_file_actions_init(&actions); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t actions;
};

std::string read_all(int fd) {
  std::string text;
  char chunk[4096];
  for (;;) {
    const ssize_t count = ::read(fd, chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    const auto room = std::min(static_cast<std::size_t>(count), kMostErrors - text.size());
    text.append(chunk, room);
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProgramEnd run_program(const std::vector<std::string>& arguments,
                       const std::vector<std::pair<std::string, std::string>>& variables) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_io("a pipe", "be made", errno);
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const FileActions files;
  auto* actions = const_cast<posix_spawn_file_actions_t*>(&files.actions);
  ::posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(actions, writing.get(), STDERR_FILENO);
  std::vector<std::string> words = arguments;
  std::vector<std::string> environment = environment_with(variables);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, words.front().c_str(), actions, nullptr,
                                   pointers(words).data(), pointers(environment).data());
  static_cast<void>(writing.close());
  if (error != 0) return {.errors = std::strerror(error)};
  ProgramEnd end{.started = true};
  end.errors = read_all(reading.get());
  end.exit_code = wait_for(pid);
  return end;
}

}  // namespace assay::base
