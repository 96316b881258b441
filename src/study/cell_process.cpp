#include "study/cell_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>

#include "base/io.h"
#include "base/progress.h"
#include "study/channel.h"

namespace assay::study {
namespace {

using Clock = std::chrono::steady_clock;

/// A signal may arrive between the look at interrupted() and the sleep: it is seen this late at
/// most.
constexpr double kLongestSleep = 1.0;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The child's standard error, kept in memory for its last line.
class ErrorLog {
 public:
  ErrorLog() : fd_(::memfd_create("assay-stderr", MFD_CLOEXEC)) {}
  ~ErrorLog() {
    if (fd_ >= 0) ::close(fd_);
  }
  ErrorLog(const ErrorLog&) = delete;
  ErrorLog& operator=(const ErrorLog&) = delete;

  [[nodiscard]] std::string path() const {
    return fd_ < 0 ? std::string() : fmt::format("/proc/{}/fd/{}", ::getpid(), fd_);
  }
  [[nodiscard]] std::string last_line() const {
    const off_t size = fd_ < 0 ? 0 : ::lseek(fd_, 0, SEEK_END);
    std::string tail(static_cast<std::size_t>(std::clamp<off_t>(size, 0, 4096)), '\0');
    const ssize_t got = ::pread(fd_, tail.data(), tail.size(), size - ssize_t(tail.size()));
    tail.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    const auto end = tail.find_last_not_of(" \n\r\t");
    if (end == std::string::npos) return {};
    tail.resize(end + 1);
    return base::printable(tail.substr(tail.rfind('\n') + 1), 300);
  }

 private:
  int fd_;
};

/// What the records so far say about the cell.
class Verdict {
 public:
  /// bad_data if it is no record of study/cell.h.
  void take(const Json& record);
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::string& stage() const { return stage_; }
  /// Of a child that came to its end record or said why it did not.
  [[nodiscard]] std::optional<Outcome> outcome() const;

 private:
  void take_row(const Json& row);
  bool ended_ = false;
  std::string stage_ = "start";
  std::optional<Outcome> error_;
  std::optional<Outcome> bad_row_;
};

void Verdict::take(const Json& record) {
  static const std::set<std::string> kTypes = {"stage", "plan", "row", "items", "error", "end"};
  const std::string type = record.is_object() ? record.value("type", "") : "";
  if (!kTypes.contains(type)) fail(ErrorCode::bad_data, "it sent a record of no known type");
  if (ended_) fail(ErrorCode::bad_data, "it sent a record after its last one");
  if (type == "stage") {
    stage_ = record.at("text").get<std::string>();
    static_cast<void>(record.at("fraction").get<double>());
  }
  if (type == "items") static_cast<void>(record.at("test").get<std::string>());
  if (type == "row") take_row(record.at("row"));
  if (type == "error") {
    error_ = Outcome{record.at("status").get<std::string>(), record.value("message", "")};
  }
  ended_ = type == "end" || type == "error";
}

/// A row that says `proved: no` makes its cell invalid, whatever its status says.
void Verdict::take_row(const Json& row) {
  const std::string status = row.at("status").get<std::string>();
  const Json proved = row.value("proved", Json());
  const bool disproved = proved.is_boolean() && !proved.get<bool>();
  if (status == "ok" && !disproved) return;
  if (bad_row_ && bad_row_->status == "invalid") return;
  bad_row_ = Outcome{disproved ? "invalid" : status, row.value("reason", "")};
}

std::optional<Outcome> Verdict::outcome() const {
  if (error_) return error_;
  if (!ended_) return std::nullopt;
  return bad_row_ ? bad_row_ : Outcome{"ok", ""};
}

class Watch {
 public:
  Watch(const Cell& cell, const WatchOptions& options, const RecordSink& record)
      : options_(options),
        record_(record),
        before_{cell.model, oom_kills(), weights_size(cell.model)},
        child_({"cell"}, cell.to_json().dump(), options.verbose ? "" : log_.path()) {
    ::fcntl(child_.output(), F_SETFL, O_NONBLOCK);
  }
  Outcome run();

 private:
  [[nodiscard]] bool wait_for_bytes() const;
  [[nodiscard]] bool drain();
  [[nodiscard]] std::optional<Json> next_record();
  [[nodiscard]] Outcome ended();
  [[nodiscard]] Outcome stopped(const std::string& status, const std::string& reason);

  WatchOptions options_;
  const RecordSink& record_;
  BeforeStart before_;
  ErrorLog log_;
  Child child_;
  FrameBuffer frames_;
  Verdict verdict_;
  std::string garbage_;  ///< what was wrong with a record
  Clock::time_point heard_ = Clock::now();
  std::optional<Clock::time_point> told_;  ///< when the child was told to stop
};

bool Watch::wait_for_bytes() const {
  double longest = std::min(kLongestSleep, options_.stall_seconds - seconds_since(heard_));
  if (told_) longest = std::min(longest, options_.grace_seconds - seconds_since(*told_));
  pollfd wanted{.fd = child_.output(), .events = POLLIN, .revents = 0};
  const int ready = ::poll(&wanted, 1, static_cast<int>(std::max(0.0, longest) * 1e3) + 1);
  return ready > 0;
}

/// Empty when nothing complete is there, or when what is there is no record.
std::optional<Json> Watch::next_record() {
  try {
    const auto frame = frames_.next();
    if (!frame) return std::nullopt;
    Json record = base::parse_json(*frame, "its record");
    verdict_.take(record);
    return record;
  } catch (const Json::exception&) {
    garbage_ = "it sent a record that lacks a field";
  } catch (const Error& error) {
    garbage_ = error.what();
  }
  return std::nullopt;
}

/// Takes what has arrived; false at end of file.
bool Watch::drain() {
  const bool open = frames_.fill(child_.output());
  while (const auto record = next_record()) {
    heard_ = Clock::now();
    record_(*record);
  }
  return open;
}

Outcome Watch::ended() {
  const auto outcome = verdict_.outcome();
  const auto status = child_.wait_for(options_.grace_seconds);
  if (!status) return outcome ? *outcome : stopped("failed", "it closed its channel and hung");
  const bool clean = *status == 0 || (outcome && outcome->status != "ok");
  if (outcome && clean) return *outcome;
  if (told_) return {"interrupted", "stopped by the user"};
  if (frames_.partial() && *status == 0) return {"failed", "it ended inside a record"};
  return classify_exit(*status, before_, oom_kills(), log_.last_line());
}

Outcome Watch::stopped(const std::string& status, const std::string& reason) {
  child_.signal(SIGKILL);
  static_cast<void>(child_.wait());
  return {status, reason};
}

Outcome Watch::run() {
  while (true) {
    if (base::interrupted() && !told_) {
      child_.signal(SIGINT);
      told_ = Clock::now();
    }
    const bool open = !wait_for_bytes() || drain();
    if (!garbage_.empty()) return stopped("failed", "its channel broke: " + garbage_);
    if (!open) return ended();
    if (told_ && seconds_since(*told_) > options_.grace_seconds) {
      return stopped("interrupted", "stopped by the user");
    }
    if (seconds_since(heard_) > options_.stall_seconds) {
      return stopped("timeout", fmt::format("no sign of life for {:.3g} s; the last stage was '{}'",
                                            options_.stall_seconds, verdict_.stage()));
    }
  }
}

}  // namespace

Outcome watch_cell(const Cell& cell, const WatchOptions& options, const RecordSink& record) {
  return Watch(cell, options, record).run();
}

}  // namespace assay::study
