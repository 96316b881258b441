#include "files/hub_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/scratch_folder.h"

namespace assay::testing {
namespace {

namespace fs = std::filesystem;

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
const std::string kOther = "89abcdef0123456789abcdef0123456789abcdef";

/// A cache as huggingface_hub lays it out: snapshots are folders of links into blobs.
class HubCache : public ::testing::Test {
 protected:
  HubCache() {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"}) {
      const char* value = std::getenv(name);
      before_.emplace_back(name, value == nullptr ? "" : value);
      ::unsetenv(name);
    }
    ::setenv("HF_HOME", folder_.path().c_str(), 1);
    add("models--org--tiny", kCommit);
    folder_.write("hub/models--org--tiny/refs/main", kCommit);
    folder_.write("hub/models--org--tiny/refs/pr/7", kOther + "\n");
    add("models--org--tiny", kOther);
    add("models--gpt2", kCommit);
    folder_.write("hub/models--gpt2/refs/main", kCommit);
  }
  ~HubCache() override {
    for (const auto& [name, value] : before_) {
      value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
    }
  }

  void add(const std::string& model, const std::string& commit) const {
    folder_.write("hub/" + model + "/blobs/b10b", "{}");
    const fs::path snapshot = folder_.path() / "hub" / model / "snapshots" / commit;
    fs::create_directories(snapshot);
    fs::create_symlink("../../blobs/b10b", snapshot / "config.json");
  }
  [[nodiscard]] fs::path snapshot(const std::string& model, const std::string& commit) const {
    return folder_.path() / "hub" / model / "snapshots" / commit;
  }

  ScratchFolder folder_;
  std::vector<std::pair<std::string, std::string>> before_;
};

TEST_F(HubCache, FindsTheSnapshotOfMain) {
  const fs::path found = files::find_model("org/tiny");
  EXPECT_EQ(found, snapshot("models--org--tiny", kCommit));
  EXPECT_TRUE(fs::is_regular_file(found / "config.json"));
  EXPECT_EQ(files::find_model("gpt2"), snapshot("models--gpt2", kCommit));
}

TEST_F(HubCache, SnapshotsAreNamedByTheirModel) {
  EXPECT_EQ(files::snapshot_name(files::find_model("org/tiny")), "tiny");
  EXPECT_EQ(files::snapshot_name(files::find_model("gpt2")), "gpt2");
  EXPECT_EQ(files::snapshot_name(folder_.path()), std::nullopt);
}

TEST_F(HubCache, FindsRevisions) {
  EXPECT_EQ(files::find_model("org/tiny@pr/7"), snapshot("models--org--tiny", kOther));
  EXPECT_EQ(files::find_model("org/tiny@" + kOther), snapshot("models--org--tiny", kOther));
  expect_error(ErrorCode::io, {"org/tiny", "v2", "main, pr", "--revision v2"},
               [] { (void)files::find_model("org/tiny@v2"); });
  expect_error(ErrorCode::io, {"snapshots", "missing"},
               [] { (void)files::find_model("org/tiny@" + std::string(40, 'a')); });
}

TEST_F(HubCache, AnExistingPathGoesBefore) {
  const fs::path local = folder_.write("org/tiny/config.json", "{}").parent_path();
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  EXPECT_EQ(files::find_model("org/tiny"), fs::path("org/tiny"));
  fs::current_path(before);
  EXPECT_EQ(files::find_model(local.string()), local);
}

TEST_F(HubCache, VariablesHaveTheirOrder) {
  ::setenv("HOME", "/home/someone", 1);
  ::unsetenv("HF_HOME");
  EXPECT_EQ(files::cache_folder().path, "/home/someone/.cache/huggingface/hub");
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(files::cache_folder().path, "/x/huggingface/hub");
  ::setenv("HF_HOME", "~/hf", 1);
  EXPECT_EQ(files::cache_folder().path, "/home/someone/hf/hub");
  ::setenv("HUGGINGFACE_HUB_CACHE", "/older", 1);
  EXPECT_EQ(files::cache_folder().path, "/older");
  ::setenv("HF_HUB_CACHE", "/newer", 1);
  EXPECT_EQ(files::cache_folder().path, "/newer");
  EXPECT_EQ(files::cache_folder().named_by, "HF_HUB_CACHE");
}

TEST_F(HubCache, ErrorsSayWhereWasLookedAndWhatToDo) {
  const std::string cache = (folder_.path() / "hub").string();
  expect_error(ErrorCode::io,
               {"org/tinny", "models--org--tinny", cache, "HF_HOME", "org/tiny", "hf download"},
               [] { (void)files::find_model("org/tinny"); });
  expect_error(ErrorCode::io, {"/no/such/folder"},
               [] { (void)files::find_model("/no/such/folder"); });
}

TEST_F(HubCache, RefusesWhatLeavesTheCache) {
  for (const char* text : {"../tiny", "org/..", "org/a--b", "a/b/c", ".hidden", "org/tiny@../../x",
                           "org/tiny@/etc", "org/tiny@", "org/", "/tiny", ""}) {
    EXPECT_FALSE(files::parse_repo_name(text).has_value()) << text;
    EXPECT_THROW((void)files::find_model(text), Error) << text;
  }
  folder_.write("hub/models--org--tiny/refs/main", "../../../etc");
  expect_error(ErrorCode::bad_data, {"refs/main", "40 hexadecimal"},
               [] { (void)files::find_model("org/tiny"); });
}

}  // namespace
}  // namespace assay::testing
