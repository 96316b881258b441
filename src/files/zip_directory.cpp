#include "files/zip_directory.h"

#include <algorithm>
#include <cstring>

#include "base/io.h"
#include "base/utf8.h"

namespace assay::files {

namespace {

// Fields of the format as in PKWARE's APPNOTE.TXT, 4.3.
constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::uint32_t kCentral = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kLocator64 = 0x07064b50;
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kCentralBytes = 46;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocatorBytes = 20;
constexpr std::uint64_t kLongestComment = 0xffff;
constexpr std::uint32_t kIn64 = 0xffffffff;   ///< the value stands in the zip64 field
constexpr std::uint16_t kEncrypted = 0x2041;  ///< flags: encrypted, strongly so, masked names
constexpr std::uint16_t kExtra64 = 1;
constexpr std::string_view kName = "zip directory";

/// Reads fields at byte positions that the caller has checked.
class Fields {
 public:
  explicit Fields(const RawFile& file) : file_(file) {}

  template <typename T>
  [[nodiscard]] T at(std::uint64_t position) const {
    T value;
    std::memcpy(&value, file_.bytes.data() + position, sizeof value);
    return value;
  }
  [[nodiscard]] std::string_view text(std::uint64_t position, std::uint64_t length) const {
    return {reinterpret_cast<const char*>(file_.bytes.data()) + position, length};
  }
  [[nodiscard]] std::uint64_t size() const { return file_.bytes.size(); }
  /// True if `length` bytes at `position` lie before `limit`.
  [[nodiscard]] static bool fits(std::uint64_t position, std::uint64_t length,
                                 std::uint64_t limit) {
    return position <= limit && length <= limit - position;
  }
  template <typename... Args>
  [[noreturn]] void fail(std::string_view field, std::uint64_t position,
                         fmt::format_string<Args...> format, Args&&... args) const {
    fail_field(file_.path, field, position, format, std::forward<Args>(args)...);
  }

 private:
  const RawFile& file_;
};

/// Where the central directory stands.
struct Directory {
  std::uint64_t begin = 0;
  std::uint64_t bytes = 0;
  std::uint64_t count = 0;
  std::uint64_t position = 0;  ///< of the record that says so
};

/// The last record of the archive: the one whose comment ends with the file.
std::uint64_t find_end(const Fields& file) {
  if (file.size() >= kEndBytes) {
    const std::uint64_t last = file.size() - kEndBytes;
    const std::uint64_t first = last > kLongestComment ? last - kLongestComment : 0;
    for (std::uint64_t at = last + 1; at-- > first;) {
      const bool here = file.at<std::uint32_t>(at) == kEnd;
      if (here && at + kEndBytes + file.at<std::uint16_t>(at + 20) == file.size()) return at;
    }
  }
  file.fail(kName, file.size(), "no end of a zip archive; the file is cut short or damaged");
}

Directory read_end64(const Fields& file, std::uint64_t end) {
  if (end < kLocatorBytes || file.at<std::uint32_t>(end - kLocatorBytes) != kLocator64) {
    file.fail(kName, end, "the zip64 locator is missing");
  }
  const std::uint64_t locator = end - kLocatorBytes;
  const auto at = file.at<std::uint64_t>(locator + 8);
  if (!Fields::fits(at, kEnd64Bytes, locator) || file.at<std::uint32_t>(at) != kEnd64) {
    file.fail(kName, locator + 8, "no zip64 end record at byte {}", at);
  }
  if (file.at<std::uint32_t>(at + 16) != 0 || file.at<std::uint32_t>(at + 20) != 0) {
    file.fail(kName, at + 16, "the archive is spread over several files");
  }
  return {file.at<std::uint64_t>(at + 48), file.at<std::uint64_t>(at + 40),
          file.at<std::uint64_t>(at + 32), at};
}

Directory find_directory(const Fields& file) {
  const std::uint64_t end = find_end(file);
  if (file.at<std::uint16_t>(end + 4) != 0 || file.at<std::uint16_t>(end + 6) != 0) {
    file.fail(kName, end + 4, "the archive is spread over several files");
  }
  Directory directory{file.at<std::uint32_t>(end + 16), file.at<std::uint32_t>(end + 12),
                      file.at<std::uint16_t>(end + 10), end};
  const bool large =
      directory.begin == kIn64 || directory.bytes == kIn64 || directory.count == 0xffff;
  if (large) directory = read_end64(file, end);
  if (!Fields::fits(directory.begin, directory.bytes, directory.position)) {
    file.fail(kName, directory.position, "{} bytes at byte {} reach beyond the directory's end",
              directory.bytes, directory.begin);
  }
  if (directory.count > directory.bytes / kCentralBytes) {
    file.fail(kName, directory.position, "{} records cannot lie in {} bytes", directory.count,
              directory.bytes);
  }
  return directory;
}

/// One record of the central directory.
struct Record {
  std::string_view name;
  std::uint64_t packed = 0;
  std::uint64_t size = 0;
  std::uint64_t local = 0;
  std::uint64_t position = 0;
  std::uint64_t next = 0;  ///< where the one after it begins
};

/// Replaces the values that did not fit 32 bits by those of the zip64 field.
void read_extra64(const Fields& file, std::uint64_t at, std::uint64_t end, Record& record) {
  const bool wanted = record.size == kIn64 || record.packed == kIn64 || record.local == kIn64;
  if (!wanted) return;
  while (Fields::fits(at, 4, end)) {
    const auto id = file.at<std::uint16_t>(at);
    const auto length = file.at<std::uint16_t>(at + 2);
    const std::uint64_t begin = at + 4;
    if (!Fields::fits(begin, length, end)) break;
    at = begin + length;
    if (id != kExtra64) continue;
    std::uint64_t from = begin;
    for (std::uint64_t* value : {&record.size, &record.packed, &record.local}) {
      if (*value != kIn64) continue;
      if (!Fields::fits(from, 8, at)) break;
      *value = file.at<std::uint64_t>(from);
      from += 8;
    }
    return;
  }
  file.fail(record.name, record.position, "the zip64 sizes are missing");
}

Record read_record(const Fields& file, std::uint64_t at, std::uint64_t end) {
  if (!Fields::fits(at, kCentralBytes, end) || file.at<std::uint32_t>(at) != kCentral) {
    file.fail(kName, at, "no record stands here");
  }
  Record record;
  record.position = at;
  const std::uint64_t name = file.at<std::uint16_t>(at + 28);
  const std::uint64_t extra = file.at<std::uint16_t>(at + 30);
  const std::uint64_t comment = file.at<std::uint16_t>(at + 32);
  if (!Fields::fits(at + kCentralBytes, name + extra + comment, end)) {
    file.fail(kName, at, "a record reaches beyond the directory's end");
  }
  record.name = file.text(at + kCentralBytes, name);
  record.next = at + kCentralBytes + name + extra + comment;
  if (!base::is_utf8(record.name)) file.fail(kName, at + kCentralBytes, "a name is not UTF-8");
  if ((file.at<std::uint16_t>(at + 8) & kEncrypted) != 0) {
    file.fail(record.name, at + 8, "the record is encrypted");
  }
  const auto method = file.at<std::uint16_t>(at + 10);
  if (method != 0) {
    file.fail(record.name, at + 10,
              "the record is compressed (method {}); only what torch.save writes, stored records, "
              "can be mapped: save the file again with torch.save",
              method);
  }
  record.packed = file.at<std::uint32_t>(at + 20);
  record.size = file.at<std::uint32_t>(at + 24);
  record.local = file.at<std::uint32_t>(at + 42);
  read_extra64(file, at + kCentralBytes + name, at + kCentralBytes + name + extra, record);
  if (record.packed != record.size) {
    file.fail(record.name, at + 20, "a stored record of {} bytes takes {}", record.size,
              record.packed);
  }
  return record;
}

/// Follows a record to its bytes, which end before the central directory.
ZipEntry locate(const Fields& file, const Record& record, std::uint64_t directory) {
  const std::uint64_t at = record.local;
  if (!Fields::fits(at, kLocalBytes, directory) || file.at<std::uint32_t>(at) != kLocal) {
    file.fail(record.name, record.position + 42, "no record begins at byte {}", at);
  }
  const std::uint64_t name = file.at<std::uint16_t>(at + 26);
  const std::uint64_t before = kLocalBytes + name + file.at<std::uint16_t>(at + 28);
  if (!Fields::fits(at, before, directory) || file.text(at + kLocalBytes, name) != record.name) {
    file.fail(record.name, at + kLocalBytes, "the record and the directory differ in the name");
  }
  if (file.at<std::uint16_t>(at + 8) != 0) {
    file.fail(record.name, at + 8, "the record and the directory differ in the compression");
  }
  const std::uint64_t offset = at + before;
  if (!Fields::fits(offset, record.size, directory)) {
    file.fail(record.name, record.position + 24,
              "{} bytes at byte {} reach into the directory at byte {}", record.size, offset,
              directory);
  }
  return {offset, record.size, record.position};
}

/// `extents`: begin and end of every record.
void check_overlaps(const Fields& file,
                    std::vector<std::pair<std::uint64_t, std::uint64_t>> extents) {
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) {
      file.fail(kName, extents[i].first, "the record here overlaps the one before it");
    }
  }
}

}  // namespace

ZipDirectory::ZipDirectory(const RawFile& raw, TensorFileBuilder& builder) {
  const Fields file(raw);
  const Directory directory = find_directory(file);
  const std::uint64_t end = directory.begin + directory.bytes;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
  std::uint64_t at = directory.begin;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    const Record record = read_record(file, at, end);
    builder.charge(1, sizeof(ZipEntry) + 96, record.name, at);
    const ZipEntry entry = locate(file, record, directory.begin);
    extents.emplace_back(record.local, entry.offset + entry.size);
    if (!entries_.try_emplace(record.name, entry).second) {
      file.fail(record.name, at, "a second record of this name");
    }
    at = record.next;
  }
  if (at != end) file.fail(kName, at, "{} bytes after the last record", end - at);
  check_overlaps(file, std::move(extents));
}

const ZipEntry* ZipDirectory::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

const ZipEntry* ZipDirectory::find_in_folder(std::string_view name, std::string& full_name) const {
  const ZipEntry* found = nullptr;
  for (const auto& [full, entry] : entries_) {
    const std::size_t slash = full.find('/');
    if (slash == std::string_view::npos || full.substr(slash + 1) != name) continue;
    if (found != nullptr) return nullptr;
    found = &entry;
    full_name = full;
  }
  return found;
}

}  // namespace assay::files
