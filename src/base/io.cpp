#include "base/io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/atomic_file.h"
#include "base/descriptor.h"
#include "base/error.h"
#include "base/utf8.h"

namespace assay::base {

namespace {

namespace fs = std::filesystem;

bool is_plain(char32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
  // Line separators, direction overrides, zero-width characters and tags would let a name look
  // like another, or break the line.
  const bool invisible = (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
                         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
                         (c >= 0xe0000 && c <= 0xe007f);
  return !control && !invisible;
}

std::string escaped(std::string_view bytes) {
  if (bytes == "\n") return "\\n";
  if (bytes == "\t") return "\\t";
  if (bytes == "\r") return "\\r";
  std::string text;
  for (const char c : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return text;
}

/// How many bytes from the front are ASCII that stands for itself: all of most names.
std::size_t plain_prefix(std::string_view text) {
  const auto special = [](char c) { return c < 0x20 || c > 0x7e || c == '\\'; };
  return static_cast<std::size_t>(std::ranges::find_if(text, special) - text.begin());
}

}  // namespace

std::string read_text(const fs::path& file, std::size_t max_bytes) {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail_io(file, "open", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_io(file, "read", errno);
  if (S_ISDIR(status.st_mode)) fail_io(file, "read", EISDIR);

  const auto too_large = [&] {
    fail(ErrorCode::bad_data, "{}: is larger than the {} bytes that such a file may have",
         printable(file.native(), 1000), max_bytes);
  };
  // The size is only a hint: pipes have none, and a file may grow while it is read.
  const auto hint = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  if (hint > max_bytes) too_large();
  std::string text;
  text.reserve(hint);
  char chunk[65536];
  while (true) {
    const ssize_t count = ::read(fd.get(), chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_io(file, "read", errno);
    if (count == 0) return text;
    if (static_cast<std::size_t>(count) > max_bytes - text.size()) too_large();
    text.append(chunk, static_cast<std::size_t>(count));
  }
}

void write_atomically(const fs::path& file, std::string_view content) {
  AtomicFile target(file);
  target.write(content);
  target.commit();
}

std::string printable(std::string_view text, std::size_t max_length) {
  constexpr std::string_view kCut = "...";
  std::string line;
  std::size_t fits = 0;  // where to cut so that "..." still fits
  while (!text.empty()) {
    if (const std::size_t run = plain_prefix(text.substr(0, max_length - line.size())); run > 0) {
      const std::size_t begin = line.size();
      line += text.substr(0, run);
      const std::size_t cut = std::min(line.size() + kCut.size(), max_length);
      if (cut >= begin + kCut.size()) fits = cut - kCut.size();
      text.remove_prefix(run);
      continue;
    }
    const Utf8Char next = decode_utf8(text);
    const auto length = static_cast<std::size_t>(std::max(next.length, 1));
    const std::string_view bytes = text.substr(0, length);
    const bool plain = next.length > 0 && is_plain(next.code);
    if (bytes == "\\") {
      line += "\\\\";
    } else if (plain) {
      line += bytes;
    } else {
      line += escaped(bytes);
    }
    if (line.size() > max_length) {
      line.resize(fits);
      return line.append(kCut.substr(0, max_length - fits));
    }
    if (line.size() + kCut.size() <= max_length) fits = line.size();
    text.remove_prefix(length);
  }
  return line;
}

}  // namespace assay::base
