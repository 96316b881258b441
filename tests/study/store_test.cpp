#include "study/store.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/scratch_folder.h"
#include "study/full_disk.h"
#include "study/runner_identity.h"

namespace assay::study {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

Cell cell_named(const std::string& recipe) {
  return {.id = "m/" + recipe, .model = "m.gguf", .recipe_name = recipe, .recipe = recipe};
}

Json row(const std::string& recipe, double value) {
  return {{"recipe", recipe}, {"test", "pp8"}, {"status", "ok"}, {"value", value}};
}

void add_finished(Store& store, const std::string& recipe, const std::string& status = "ok") {
  ASSERT_TRUE(store.claim(cell_named(recipe), recipe, "s"));
  store.add_row(recipe, row(recipe, 1.5));
  store.finish(recipe, status, status == "ok" ? "" : "why", {{"cpu", "x"}}, 2.0);
}

/// Exit code of `body` in a process of its own; for what must not happen in this one.
template <typename Body>
int in_process(const Body& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(Store, KeepsACellWithEverythingOfIt) {
  const ScratchFolder folder;
  const auto file = folder.path() / "assay.db";
  {
    Store store(file);
    ASSERT_TRUE(store.claim(cell_named("int8"), "k", "s"));
    EXPECT_EQ(store.find("k")->status, "running");
    store.add_plan("k", {{"model", "SmolLM2"}, {"parameters", 7}});
    store.add_row("k", row("int8", 1.0));
    store.add_row("k", row("int8", 2.0));
    store.add_items("k", "sst2", Json::array({{{"label", 1}}}));
    store.add_items("k", "sst2", Json::array({{{"label", 0}}}));
    store.finish("k", "ok", "", {{"cpu", "x"}}, 3.5);
  }
  const Store again(file, true);
  const auto cell = again.find("k");
  ASSERT_TRUE(cell.has_value());
  EXPECT_EQ(cell->id, "m/int8");
  EXPECT_EQ(cell->status, "ok");
  EXPECT_EQ(cell->cell, cell_named("int8").to_json());
  EXPECT_EQ(cell->plan["model"], "SmolLM2");
  EXPECT_EQ(cell->environment["cpu"], "x");
  ASSERT_EQ(cell->rows.size(), 2U);
  EXPECT_EQ(cell->rows[1]["value"], 2.0);
  EXPECT_EQ(cell->seconds, 3.5);
  EXPECT_EQ(cell->finished_at.size(), std::string("2026-01-01T00:00:00Z").size());
  EXPECT_EQ(again.items("k", "sst2"), Json::parse(R"([{"label": 1}, {"label": 0}])"));
  EXPECT_EQ(again.items("k", "mmlu"), Json::array());
  EXPECT_FALSE(again.find("other").has_value());
}

TEST(Store, FinishedCellsAreNotRedoneAndFailedOnesAre) {
  const ScratchFolder folder;
  Store store(folder.path() / "a.db");
  add_finished(store, "good");
  for (const std::string status : {"failed", "interrupted", "timeout", "oom", "invalid"}) {
    add_finished(store, status, status);
    EXPECT_TRUE(store.claim(cell_named(status), status, "s")) << status;
  }
  EXPECT_FALSE(store.claim(cell_named("good"), "good", "s"));
  EXPECT_TRUE(store.claim(cell_named("good"), "good", "s", true)) << "asked for again";
  EXPECT_FALSE(store.claim(cell_named("good"), "good", "s", true)) << "it is running";
}

TEST(Store, MeasuringAgainLosesNothing) {
  const ScratchFolder folder;
  Store store(folder.path() / "a.db");
  add_finished(store, "k");
  ASSERT_TRUE(store.claim(cell_named("k"), "k", "s", true));
  store.add_row("k", row("k", 9.0));
  EXPECT_EQ(store.find("k")->status, "ok") << "the earlier attempt stands until the new one ends";
  EXPECT_EQ(store.find("k")->rows.at(0)["value"], 1.5);
  store.finish("k", "interrupted", "", nullptr, 0);
  EXPECT_EQ(store.find("k")->rows.at(0)["value"], 1.5);
  ASSERT_TRUE(store.claim(cell_named("k"), "k", "s", true));
  store.add_row("k", row("k", 9.0));
  store.finish("k", "ok", "", nullptr, 0);
  EXPECT_EQ(store.find("k")->rows.at(0)["value"], 9.0);
}

TEST(Store, ListsAStudyInTheOrderOfItsLastRun) {
  const ScratchFolder folder;
  Store store(folder.path() / "a.db");
  for (const std::string key : {"a", "b", "c"}) add_finished(store, key);
  store.list("s", {{cell_named("c"), "c"}, {cell_named("open"), "open"}, {cell_named("a"), "a"}});
  store.list("t", {{cell_named("a"), "a"}, {cell_named("b"), "b"}});
  const auto ids = [&](const std::string& study) {
    std::string result;
    for (const auto& cell : store.cells(study)) result += cell.id + " ";
    return result;
  };
  EXPECT_EQ(ids("s"), "m/c m/a ");
  EXPECT_EQ(ids("t"), "m/a m/b ");
  EXPECT_EQ(ids(""), "m/c m/a m/b ") << "each key once";
  EXPECT_EQ(ids("nothing"), "");
}

TEST(Store, OneMeasurementMayHaveTwoNames) {
  const ScratchFolder folder;
  Store store(folder.path() / "a.db");
  ASSERT_TRUE(store.claim(cell_named("bf16"), "k", "s"));
  store.add_row("k", row("bf16 (from q4_1)", 1.0));
  store.finish("k", "ok", "", nullptr, 0);
  store.list("s", {{cell_named("bf16"), "k"}, {cell_named("C-1"), "k"}});
  const auto cells = store.cells("s");
  ASSERT_EQ(cells.size(), 2U);
  EXPECT_EQ(cells[0].rows[0]["recipe"], "bf16 (from q4_1)");
  EXPECT_EQ(cells[1].rows[0]["recipe"], "C-1 (from q4_1)");
  EXPECT_EQ(cells[1].id, "m/C-1");
}

/// What one process of the race does; its exit code is the number of keys it won. It holds its
/// claims until `hold` is closed, for only those of the living stand.
int race(const std::filesystem::path& file, int keys, int go, int done, int hold) {
  char byte = 0;
  if (::read(go, &byte, 1) != 0) return 200;
  try {
    Store store(file);
    int won = 0;
    for (int k = 0; k < keys; ++k) {
      const std::string key = "k" + std::to_string(k);
      won += store.claim(cell_named(key), key, "s") ? 1 : 0;
    }
    if (::write(done, "x", 1) != 1 || ::read(hold, &byte, 1) != 0) return 201;
    return won;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 202;
  }
}

TEST(Store, OnlyOneOfManyProcessesClaimsAKey) {
  const ScratchFolder folder;
  const auto file = folder.path() / "race.db";  // made by whoever is first
  constexpr int kProcesses = 6;
  constexpr int kKeys = 12;
  int go[2];
  int done[2];
  int hold[2];
  ASSERT_EQ(::pipe(go) + ::pipe(done) + ::pipe(hold), 0);
  std::vector<pid_t> pids;
  for (int p = 0; p < kProcesses; ++p) {
    pids.push_back(::fork());
    if (pids.back() != 0) continue;
    ::close(go[1]);
    ::close(hold[1]);
    ::_exit(race(file, kKeys, go[0], done[1], hold[0]));
  }
  ::close(go[1]);  // all start
  ::close(done[1]);
  char byte = 0;
  for (int p = 0; p < kProcesses; ++p) EXPECT_EQ(::read(done[0], &byte, 1), 1);
  ::close(hold[1]);
  int total = 0;
  for (const pid_t pid : pids) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_LT(WEXITSTATUS(status), 200);
    total += WEXITSTATUS(status);
  }
  EXPECT_EQ(total, kKeys);
  for (const int fd : {go[0], done[0], hold[0]}) ::close(fd);
}

TEST(Store, SurvivesKillNineAndTheClaimIsTakenOver) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  const int code = in_process([&] {
    Store store(file);
    if (!store.claim(cell_named("k"), "k", "s")) return 1;
    store.add_row("k", row("k", 4.0));
    ::raise(SIGKILL);
    return 2;
  });
  ASSERT_EQ(code, 1000 + SIGKILL);
  Store store(file);
  const auto left = store.find("k");
  ASSERT_TRUE(left.has_value());
  EXPECT_EQ(left->status, "interrupted");
  EXPECT_NE(left->reason.find("ended without finishing"), std::string::npos);
  ASSERT_EQ(left->rows.size(), 1U) << "what had come is there";
  EXPECT_EQ(left->rows[0]["value"], 4.0);
  EXPECT_TRUE(store.claim(cell_named("k"), "k", "s"));
}

TEST(Store, AClaimThatAnErrorLeavesBehindIsEnded) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  {
    Store store(file);
    ASSERT_TRUE(store.claim(cell_named("k"), "k", "s"));
  }
  Store store(file);
  EXPECT_EQ(store.find("k")->status, "interrupted");
  EXPECT_TRUE(store.claim(cell_named("k"), "k", "s"));
}

TEST(RunnerIdentity, TellsTheLivingFromTheDead) {
  const RunnerIdentity self = this_runner();
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_TRUE(is_alive(self, 0));
  RunnerIdentity other = self;
  other.start += 1;  // the process id was used again
  EXPECT_FALSE(is_alive(other, 0));
  other = self;
  other.place = "another boot";
  EXPECT_FALSE(is_alive(other, 0));
  other = self;
  other.place += "x";  // a container of this boot
  EXPECT_TRUE(is_alive(other, 60));
  EXPECT_FALSE(is_alive(other, 2 * 24 * 3600));
}

TEST(Store, WithoutAClaimNothingIsWritten) {
  const ScratchFolder folder;
  Store store(folder.path() / "a.db");
  expect_error(ErrorCode::internal, {"was not claimed"}, [&] { store.add_row("k", {}); });
}

TEST(Store, MissingFolderOrFileIsNamed) {
  const ScratchFolder folder;
  const auto none = folder.path() / "none" / "a.db";
  expect_error(ErrorCode::io, {none.string(), "no folder"}, [&] { const Store s(none); });
  expect_error(ErrorCode::io, {"there is no store", "study run"},
               [&] { const Store s(folder.path() / "a.db", true); });
  expect_error(ErrorCode::io, {"is a folder"}, [&] { const Store s(folder.path()); });
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a.db"));
}

/// Runs `body` as a user who owns nothing, where this process may become one.
template <typename Body>
int unprivileged(const Body& body) {
  return in_process([&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 77;
    return body();
  });
}

int open_and_compare(const std::filesystem::path& file, bool read_only, const char* expected) {
  try {
    const Store store(file, read_only);
  } catch (const Error& error) {
    const std::string message = error.what();
    const bool right = error.code() == ErrorCode::io &&
                       message.find(expected) != std::string::npos &&
                       message.find(file.string()) != std::string::npos;
    if (!right) std::fprintf(stderr, "%s\n", error.what());
    return right ? 0 : 2;
  }
  return *expected == '\0' ? 0 : 1;
}

TEST(Store, InAReadOnlyFolderIsAClearErrorButCanBeRead) {
  const ScratchFolder folder;
  ::chmod(folder.path().c_str(), 0755);
  const auto file = folder.path() / "a.db";
  {
    Store store(file);
    add_finished(store, "k");
  }
  ::chmod(file.c_str(), 0644);
  if (::geteuid() != 0) ::chmod(folder.path().c_str(), 0555);
  const int fresh = unprivileged(
      [&] { return open_and_compare(folder.path() / "new.db", false, "name another store"); });
  const int there =
      unprivileged([&] { return open_and_compare(file, false, "name another store"); });
  const int read = unprivileged([&] { return open_and_compare(file, true, ""); });
  ::chmod(folder.path().c_str(), 0755);
  EXPECT_EQ(fresh, 0);
  EXPECT_EQ(there, 0);
  EXPECT_EQ(read, 0);
}

TEST(Store, AReadOnlyFileIsAClearError) {
  const ScratchFolder folder;
  ::chmod(folder.path().c_str(), 0777);
  const auto file = folder.path() / "a.db";
  { const Store store(file); }
  ::chmod(file.c_str(), 0444);
  EXPECT_EQ(unprivileged([&] { return open_and_compare(file, false, "cannot be written"); }), 0);
}

TEST(Store, FilesOfOthersAreRefusedUntouched) {
  const ScratchFolder folder;
  const auto text = folder.write("notes.txt", std::string(5000, 'n'));
  expect_error(ErrorCode::bad_data, {text.string(), "no store of assay"},
               [&] { const Store s(text); });
  EXPECT_EQ(std::filesystem::file_size(text), 5000U);

  const auto foreign = folder.path() / "foreign.db";
  {
    SQLite::Database other(foreign.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE things (x)");
  }
  expect_error(ErrorCode::bad_data, {"another program"}, [&] { const Store s(foreign); });
  EXPECT_FALSE(std::filesystem::exists(foreign.string() + "-wal"));
}

TEST(Store, ANewerSchemaIsRefused) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  { const Store store(file); }
  {
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA user_version = 9");
  }
  expect_error(ErrorCode::bad_data, {"schema version 9", "reads 1"}, [&] { const Store s(file); });
}

TEST(Store, ADamagedFileIsFoundOnOpen) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  {
    Store store(file);
    for (int i = 0; i < 50; ++i) add_finished(store, "key " + std::to_string(i));
  }
  std::string bytes = base::read_text(file);
  ASSERT_GT(bytes.size(), 16384U);
  for (std::size_t i = 8192; i < bytes.size() - 4096; ++i) bytes[i] = char(i * 7);
  folder.write("a.db", bytes);
  expect_error(ErrorCode::bad_data, {file.string(), "damaged", ".recover"},
               [&] { const Store s(file); });
}

TEST(Store, AFullDiskIsAClearErrorAndLosesNothing) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  {
    const testing::FullDisk disk;
    Store store(file);
    add_finished(store, "before");
    ASSERT_TRUE(store.claim(cell_named("k"), "k", "s"));
    store.add_row("k", row("k", 1.0));
    testing::FullDisk::fill();
    expect_error(ErrorCode::io, {file.string(), "disk is full", "free some space"},
                 [&] { store.add_row("k", row("k", 2.0)); });
  }
  Store store(file);
  EXPECT_EQ(store.find("before")->status, "ok");
  ASSERT_EQ(store.find("k")->rows.size(), 1U);
  EXPECT_EQ(store.find("k")->rows[0]["value"], 1.0);
}

TEST(Store, AFileSizeLimitIsAnErrorAndNoSignal) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  const int code = in_process([&] {
    Store store(file);
    if (!store.claim(cell_named("k"), "k", "s")) return 1;
    store.add_row("k", row("k", 1.0));
    const rlimit limit{.rlim_cur = 100'000, .rlim_max = 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      store.add_row("k", {{"large", std::string(200'000, 'x')}});
    } catch (const Error& error) {
      return error.code() == ErrorCode::io ? 42 : 2;
    }
    return 3;
  });
  EXPECT_EQ(code, 42);
  EXPECT_EQ(Store(file).find("k")->rows.size(), 1U);
}

TEST(Store, EveryColumnIsDocumented) {
  const ScratchFolder folder;
  const auto file = folder.path() / "a.db";
  { const Store store(file); }
  const std::string guide = base::read_text(std::string(ASSAY_SOURCE_DIR) + "/docs/store.md");
  SQLite::Database database(file.string());
  SQLite::Statement columns(
      database,
      "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
      "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'");
  int count = 0;
  for (; columns.executeStep(); ++count) {
    for (int i = 0; i < 2; ++i) {
      const std::string name = columns.getColumn(i).getString();
      EXPECT_NE(guide.find("`" + name + "`"), std::string::npos) << name;
    }
  }
  EXPECT_GT(count, 20);
}

}  // namespace
}  // namespace assay::study
