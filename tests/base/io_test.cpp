#include "base/io.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/scratch_folder.h"
#include "base/utf8.h"

namespace assay::base {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

TEST(ReadText, GivesTheBytesAndKeepsTheLimit) {
  const ScratchFolder folder;
  const std::string content("a\0b\n", 4);
  const auto file = folder.write("f", content);
  EXPECT_EQ(read_text(file), content);
  EXPECT_EQ(read_text(file, 4), content);
  expect_error(ErrorCode::bad_data, {file.string(), "larger than the 3 bytes"},
               [&] { (void)read_text(file, 3); });
  EXPECT_EQ(read_text(folder.write("empty", "")), "");
}

TEST(ReadText, NamesWhatItCannotRead) {
  const ScratchFolder folder;
  const auto absent = folder.path() / "absent";
  expect_error(ErrorCode::io, {absent.string(), "No such file"}, [&] { (void)read_text(absent); });
  expect_error(ErrorCode::io, {folder.path().string(), "Is a directory"},
               [&] { (void)read_text(folder.path()); });
}

// Files in /proc claim a size of 0.
TEST(ReadText, DoesNotTrustTheClaimedSize) {
  EXPECT_NE(read_text("/proc/self/status").find("Name:"), std::string::npos);
  expect_error(ErrorCode::bad_data, {"larger than"},
               [&] { (void)read_text("/proc/self/status", 8); });
}

TEST(WriteAtomically, ReplacesAndLeavesNothingBehind) {
  const ScratchFolder folder;
  const auto file = folder.path() / "out";
  write_atomically(file, "first");
  write_atomically(file, std::string(200000, 'x'));
  EXPECT_EQ(read_text(file), std::string(200000, 'x'));
  const std::filesystem::directory_iterator entries(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST(WriteAtomically, KeepsModeAndLink) {
  const ScratchFolder folder;
  const auto file = folder.write("real", "old");
  ::chmod(file.c_str(), 0640);
  std::filesystem::create_symlink("real", folder.path() / "link");
  write_atomically(folder.path() / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path() / "link"));
  EXPECT_EQ(read_text(file), "new");
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST(WriteAtomically, AnErrorNamesTheFileAndKeepsTheOld) {
  const ScratchFolder folder;
  const auto absent = folder.path() / "no" / "out";
  expect_error(ErrorCode::io, {absent.string(), "No such file"},
               [&] { write_atomically(absent, "x"); });
  // A folder cannot be replaced by a file; the temporary file must be gone all the same.
  std::filesystem::create_directory(folder.path() / "taken");
  expect_error(ErrorCode::io, {"taken"}, [&] { write_atomically(folder.path() / "taken", "x"); });
  const std::filesystem::directory_iterator entries(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST(Printable, EscapesWhatWouldBreakOrForgeALine) {
  EXPECT_EQ(printable("model.layers.0"), "model.layers.0");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(printable(std::string_view("\0\x1b[31m", 6)), "\\x00\\x1b[31m");
  EXPECT_EQ(printable("a\\n"), "a\\\\n");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("h\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80"),
            "h\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\xc2\x85"), "\\xc2\\x85");           // next line (C1)
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(printable("\xe2\x80\xa8"), "\\xe2\\x80\\xa8");  // line separator
}

TEST(Printable, CutsAtWholeCharacters) {
  EXPECT_EQ(printable("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(printable("abcdefghi", 8), "abcde...");
  EXPECT_EQ(printable("abcdef\n\n", 8), "abcde...");  // the cut lies within the plain run
  EXPECT_EQ(printable("abcd\xe4\xb8\xad\xe4\xb8\xad", 8), "abcd...");
  EXPECT_EQ(printable("\n\n\n\n\n", 8), "\\n\\n...");
  for (std::size_t length = 0; length < 12; ++length) {
    EXPECT_LE(printable(std::string(100, '\x01'), length).size(), length);
  }
}

TEST(Utf8, AcceptsExactlyTheStandard) {
  for (const char* good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << printable(good);
  }
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xef\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3z"}) {
    EXPECT_FALSE(is_utf8(bad)) << printable(bad);
  }
  EXPECT_EQ(decode_utf8("\xe4\xb8\xadx").code, U'\u4e2d');
  EXPECT_EQ(decode_utf8("\xe4\xb8\xadx").length, 3);
}

}  // namespace
}  // namespace assay::base
