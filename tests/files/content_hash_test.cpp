#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "base/hash.h"
#include "base/io.h"
#include "base/scratch_folder.h"
#include "files/tensor_file.h"

namespace assay::files {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

/// The cache in a folder of its own, for as long as the test runs.
class ContentHash : public ::testing::Test {
 protected:
  ContentHash() { use(scratch_.path() / "cache" / "deep"); }
  ~ContentHash() override { ::unsetenv("ASSAY_CACHE"); }
  static void use(const std::filesystem::path& folder) {
    ::setenv("ASSAY_CACHE", folder.c_str(), 1);
  }
  [[nodiscard]] std::filesystem::path cache() const {
    return scratch_.path() / "cache" / "deep" / "file-hashes";
  }
  ScratchFolder scratch_;
  /// This program; only files unchanged for more than two seconds are remembered.
  static std::filesystem::path old_file() {
    const auto path = std::filesystem::read_symlink("/proc/self/exe");
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    while (std::time(nullptr) - status.st_ctim.tv_sec <= 2) ::usleep(100'000);
    return path;
  }
};

TEST_F(ContentHash, IsTheFilesSha256) {
  EXPECT_EQ(content_hash(scratch_.write("abc", "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string large(3'000'001, 'x');
  EXPECT_EQ(content_hash(scratch_.write("large", large)), base::sha256_hex(large));
  EXPECT_EQ(content_hash(scratch_.write("empty", "")), base::sha256_hex(""));
}

TEST_F(ContentHash, IsAnsweredFromTheCache) {
  const auto file = old_file();
  const std::string digest = content_hash(file);
  std::string lines = base::read_text(cache());
  const std::size_t at = lines.find(digest);
  ASSERT_NE(at, std::string::npos);
  const std::string forged(64, 'a');
  base::write_atomically(cache(), lines.replace(at, 64, forged));
  EXPECT_EQ(content_hash(file), forged);
  // Whatever is no digest is not believed.
  base::write_atomically(cache(), lines.replace(at, 64, std::string(64, '?')));
  EXPECT_EQ(content_hash(file), digest);
}

TEST_F(ContentHash, AFileChangedJustNowIsNotRemembered) {
  const auto file = scratch_.write("f", "one");
  EXPECT_EQ(content_hash(file), base::sha256_hex("one"));
  scratch_.write("f", "two");
  EXPECT_EQ(content_hash(file), base::sha256_hex("two"));
  EXPECT_FALSE(std::filesystem::exists(cache()));
}

TEST_F(ContentHash, ACacheThatCannotBeWrittenIsNoError) {
  const auto blocked = scratch_.write("blocked", "");
  use(blocked / "below");
  const auto file = old_file();
  const std::string digest = content_hash(file);
  EXPECT_EQ(digest.size(), 64U);
  EXPECT_EQ(content_hash(file), digest);
}

TEST_F(ContentHash, OfAModelDependsOnContentAndRoleAlone) {
  ModelFiles files;
  files.weights = scratch_.write("a/weights", "w");
  files.config = scratch_.write("a/config", "c");
  ModelFiles elsewhere;
  elsewhere.weights = scratch_.write("b/renamed", "w");
  elsewhere.config = scratch_.write("b/config", "c");
  EXPECT_EQ(content_hash(files), content_hash(elsewhere));
  ModelFiles other = files;
  other.config = scratch_.write("c/config", "d");
  EXPECT_NE(content_hash(files), content_hash(other));
  ModelFiles moved;
  moved.weights = files.weights;
  moved.tokenizer = files.config;
  EXPECT_NE(content_hash(files), content_hash(moved));
}

TEST_F(ContentHash, ReportsProgressUpToTheWhole) {
  std::vector<double> fractions;
  const auto file = scratch_.write("f", std::string(5 << 20, 'x'));
  (void)content_hash(file, [&](const std::string& stage, double fraction) {
    EXPECT_EQ(stage, "hash f");
    fractions.push_back(fraction);
  });
  ASSERT_GE(fractions.size(), 5U);
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.back(), 1.0);
}

TEST_F(ContentHash, NamesAFileItCannotRead) {
  expect_error(ErrorCode::io, {"absent", "No such file"},
               [&] { (void)content_hash(scratch_.path() / "absent"); });
  expect_error(ErrorCode::io, {"not a regular file"}, [&] { (void)content_hash(scratch_.path()); });
}

}  // namespace
}  // namespace assay::files
