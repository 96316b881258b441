#include "study/channel.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "study/held_signal.h"

namespace assay::study {
namespace {

constexpr std::size_t kMaxFrame = std::size_t{1} << 30;
constexpr std::size_t kPrefix = 4;
constexpr std::size_t kReadSize = std::size_t{64} << 10;

void write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written >= 0) {
      data += written;
      size -= static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {
      pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      fail(ErrorCode::io, "cannot write a record to the parent process: {}", std::strerror(errno));
    }
  }
}

/// Bytes read; fewer than `size` only at end of file.
std::size_t read_all(int fd, std::byte* data, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, data + done, size - done);
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      fail(ErrorCode::io, "cannot read from a child process: {}", std::strerror(errno));
    }
  }
  return done;
}

std::size_t decode_length(const unsigned char* prefix) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < kPrefix; ++i) length |= std::uint32_t{prefix[i]} << (8 * i);
  if (length > kMaxFrame) {
    fail(ErrorCode::bad_data, "a child process sent a frame of {} bytes; the limit is {}", length,
         kMaxFrame);
  }
  return length;
}

}  // namespace

void write_frame(int fd, const void* data, std::size_t size) {
  if (size > kMaxFrame) {
    fail(ErrorCode::internal, "a record of {} bytes is above the limit of {}", size, kMaxFrame);
  }
  std::array<char, kPrefix> prefix{};
  for (std::size_t i = 0; i < kPrefix; ++i) prefix[i] = static_cast<char>(size >> (8 * i) & 0xFF);
  const HeldSignal no_sigpipe(SIGPIPE);
  write_all(fd, prefix.data(), prefix.size());
  write_all(fd, static_cast<const char*>(data), size);
}

bool read_frame(int fd, std::vector<std::byte>& frame) {
  std::array<std::byte, kPrefix> prefix{};
  const std::size_t got = read_all(fd, prefix.data(), prefix.size());
  if (got == 0) return false;
  if (got < prefix.size()) {
    fail(ErrorCode::bad_data, "a child process ended inside the length of a frame");
  }
  const std::size_t length = decode_length(reinterpret_cast<const unsigned char*>(prefix.data()));
  frame.resize(length);
  const std::size_t body = read_all(fd, frame.data(), length);
  if (body < length) {
    fail(ErrorCode::bad_data, "a child process ended after {} of {} bytes of a frame", body,
         length);
  }
  return true;
}

bool FrameBuffer::fill(int fd) {
  bytes_.erase(0, begin_);
  begin_ = 0;
  const std::size_t before = bytes_.size();
  bytes_.resize(before + kReadSize);
  ssize_t got = -1;
  do {
    got = ::read(fd, bytes_.data() + before, kReadSize);
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  bytes_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got < 0 && error != EAGAIN) {
    fail(ErrorCode::io, "cannot read from a child process: {}", std::strerror(error));
  }
  return got != 0;
}

std::optional<std::string> FrameBuffer::next() {
  if (bytes_.size() - begin_ < kPrefix) return std::nullopt;
  const auto* at = reinterpret_cast<const unsigned char*>(bytes_.data()) + begin_;
  const std::size_t length = decode_length(at);
  if (bytes_.size() - begin_ - kPrefix < length) return std::nullopt;
  std::string frame = bytes_.substr(begin_ + kPrefix, length);
  begin_ += kPrefix + length;
  return frame;
}

}  // namespace assay::study
