#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/progress.h"
#include "base/scratch_folder.h"
#include "study/build_info.h"
#include "study/full_disk.h"
#include "study/study.h"

namespace assay::study {
namespace {

using testing::expect_error;
using testing::ScratchFolder;
using Clock = std::chrono::steady_clock;

/// A study whose cells are scripts of fake_cell.cpp. The model is a file that nobody parses: the
/// key needs its content, the fake child needs nothing.
class StudyRun : public ::testing::Test {
 protected:
  void SetUp() override {
    model_ = folder_.write("fake.gguf", "GGUF and nothing more").string();
    ::setenv("ASSAY_CACHE", (folder_.path() / "cache").c_str(), 1);
    study_.name = "scripts";
    study_.store = folder_.path() / "a.db";
  }
  /// Each cell has a seed of its own: equal recipes would be one measurement.
  void add(const std::string& script) {
    study_.cells.push_back({.id = "fake/" + script,
                            .model = model_,
                            .recipe_name = script,
                            .recipe = "fp32",
                            .workload = {{"seed", study_.cells.size()}}});
  }
  StoredCell run_one(const std::string& script) {
    add(script);
    Store store(study_.store);
    const auto cells = run_study(study_, store, options_, {});
    if (cells.size() != study_.cells.size()) throw std::runtime_error("a cell is missing");
    return cells.back();
  }

  ScratchFolder folder_;
  std::string model_;
  Study study_;
  RunOptions options_{.stall_seconds = 20, .grace_seconds = 1};
};

TEST_F(StudyRun, KeepsWhatAGoodCellSends) {
  const StoredCell cell = run_one("ok");
  EXPECT_EQ(cell.status, "ok") << cell.reason;
  EXPECT_EQ(cell.reason, "");
  EXPECT_EQ(cell.plan["model"], "fake");
  EXPECT_FALSE(cell.plan.contains("type"));
  ASSERT_EQ(cell.rows.size(), 1U);
  EXPECT_EQ(cell.rows[0]["metrics"]["tokens_per_second"]["value"], 12.5);
  EXPECT_EQ(cell.environment["witness"], "child") << "the child's word is added to ours";
  EXPECT_EQ(cell.environment["assay"], std::string(kVersion));
  EXPECT_EQ(cell.environment["source_hash"], std::string(kSourceHash));
  EXPECT_EQ(cell.environment["git_commit"], std::string(kGitCommit));
  EXPECT_TRUE(cell.environment.contains("cpu"));
  const Store store(study_.store, true);
  EXPECT_EQ(store.items(cell.key, "pp8"), Json::parse("[1, 2, 3]"));
}

struct Failure {
  const char* script;
  const char* status;
  const char* reason;
  std::size_t rows;
};

class StudyFailure : public StudyRun, public ::testing::WithParamInterface<Failure> {};

TEST_P(StudyFailure, IsTypedAndTheOthersGoOn) {
  const Failure expected = GetParam();
  if (std::string(expected.status) == "timeout") options_.stall_seconds = 0.5;
  add("ok");
  add(expected.script);
  const auto begin = Clock::now();
  const StoredCell last = run_one("ok2");
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(15));
  EXPECT_EQ(last.status, "ok") << "the cells after it go on";
  const Store store(study_.store, true);
  const auto cells = store.cells("scripts");
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_EQ(cells[0].status, "ok");
  EXPECT_EQ(cells[1].status, expected.status);
  EXPECT_NE(cells[1].reason.find(expected.reason), std::string::npos) << cells[1].reason;
  EXPECT_EQ(cells[1].reason.find('\n'), std::string::npos);
  EXPECT_EQ(cells[1].rows.size(), expected.rows) << "what had come is kept";
}

INSTANTIATE_TEST_SUITE_P(
    Scripts, StudyFailure,
    ::testing::Values(Failure{"disproved", "invalid", "planned a, ran b", 2},
                      Failure{"unsupported", "unsupported", "layer x: no kernel", 0},
                      Failure{"oom", "oom", "an allocation failed", 0},
                      Failure{"crash", "failed", "SIGSEGV); its last words: the last words", 1},
                      Failure{"bus", "failed", "SIGBUS", 1},
                      Failure{"killed", "failed", "SIGKILL", 1},
                      Failure{"hang", "timeout",
                              "no sign of life for 0.5 s; the last stage was 'load'", 1},
                      Failure{"half a frame, then hang", "timeout", "no sign of life", 1},
                      Failure{"half a frame", "failed", "ended inside a record", 1},
                      Failure{"huge frame", "failed", "4294967295 bytes", 1},
                      Failure{"no json", "failed", "its channel broke", 1},
                      Failure{"no record", "failed", "no known type", 1},
                      Failure{"row without fields", "failed", "lacks a field", 1},
                      Failure{"after the end", "failed", "after its last one", 0},
                      Failure{"exits early", "failed", "exit code 7", 1},
                      Failure{"crash after the end", "failed", "SIGABRT", 1},
                      Failure{"closes and hangs", "failed", "closed its channel", 1},
                      Failure{"a script that is not there", "failed", "exit code 99", 0}),
    [](const auto& test) {
      std::string name = test.param.script;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

TEST_F(StudyRun, ARowThatProvesNothingDoesNotSpoilACell) {
  EXPECT_EQ(run_one("unproved").status, "ok");
}

TEST_F(StudyRun, EveryRecordIsASignOfLife) {
  options_.stall_seconds = 0.6;  // the script beats for 1.2 s
  EXPECT_EQ(run_one("slow but alive").status, "ok");
}

TEST_F(StudyRun, ABusErrorNamesTheFileThatShrank) {
  std::filesystem::resize_file(model_, 21);
  add("bus");
  Store store(study_.store);
  RunEvents events;
  events.row = [&](const Cell&, const Json&) { std::filesystem::resize_file(model_, 4); };
  const auto cells = run_study(study_, store, options_, events);
  EXPECT_NE(cells.at(0).reason.find(model_ + " shrank from 21 to 4 bytes"), std::string::npos)
      << cells.at(0).reason;
}

TEST_F(StudyRun, AModelThatIsNotThereIsACellThatFailed) {
  add("ok");
  study_.cells[0].model = "/nowhere/model.gguf";
  const StoredCell last = run_one("ok2");
  EXPECT_EQ(last.status, "ok");
  const auto cells = Store(study_.store, true).cells("scripts");
  EXPECT_EQ(cells.at(0).status, "failed");
  EXPECT_NE(cells.at(0).reason.find("/nowhere/model.gguf"), std::string::npos);
}

TEST_F(StudyRun, APrecisionThatIsNotInThisBuildIsUnsupported) {
  add("ok");
  study_.cells[0].recipe = "fp8_e5m2";
  EXPECT_EQ(run_one("ok2").status, "ok");
  const auto cells = Store(study_.store, true).cells("scripts");
  EXPECT_EQ(cells.at(0).status, "unsupported");
  EXPECT_NE(cells.at(0).reason.find("fp8_e5m2"), std::string::npos) << cells.at(0).reason;
}

TEST_F(StudyRun, ContinuesWhereItStopped) {
  add("ok");
  add("crash");
  add("ok2");
  Store store(study_.store);
  std::vector<std::string> started;
  std::vector<bool> cached;
  RunEvents events;
  events.cell_started = [&](const Cell& cell, std::size_t, std::size_t count) {
    started.push_back(cell.recipe_name);
    EXPECT_EQ(count, 3U);
  };
  events.cell_finished = [&](const StoredCell&, bool kept) { cached.push_back(kept); };
  options_.only = {"ok"};
  const auto selected = run_study(study_, store, options_, {});
  ASSERT_EQ(selected.size(), 1U);
  EXPECT_EQ(selected[0].id, "fake/ok");

  options_.only.clear();
  (void)run_study(study_, store, options_, events);
  EXPECT_EQ(started, (std::vector<std::string>{"crash", "ok2"}));
  EXPECT_EQ(cached, (std::vector<bool>{true, false, false}));
  started.clear();
  (void)run_study(study_, store, options_, events);
  EXPECT_EQ(started, std::vector<std::string>{"crash"}) << "what failed is tried again";
  started.clear();
  options_.rerun = true;
  EXPECT_EQ(run_study(study_, store, options_, events).size(), 3U);
  EXPECT_EQ(started.size(), 3U);
}

TEST_F(StudyRun, AnEvaluationGoesOnAtTheItem) {
  EXPECT_EQ(run_one("stops once").status, "interrupted");
  Store store(study_.store);
  const auto cells = run_study(study_, store, options_, {});
  EXPECT_EQ(cells.at(0).status, "ok") << cells.at(0).reason;
  const Json items = store.items(cells.at(0).key, "sst2");
  ASSERT_EQ(items.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(items[i]["i"], i);
  EXPECT_TRUE(store.unfinished_items(cells[0].key).is_null());
  // Asked to measure anew, it takes nothing over, and so is stopped again.
  options_.rerun = true;
  (void)run_study(study_, store, options_, {});
  EXPECT_EQ(store.unfinished_items(cells[0].key).at("sst2").size(), 2U);
}

TEST_F(StudyRun, OneMeasurementUnderTwoNamesIsMadeOnce) {
  add("ok");
  study_.cells.push_back(study_.cells[0]);
  study_.cells[1].id = "fake/again";
  study_.cells[1].recipe_name = "ok2";
  Store store(study_.store);
  int started = 0;
  RunEvents events;
  events.cell_started = [&](const Cell&, std::size_t, std::size_t) { ++started; };
  const auto cells = run_study(study_, store, options_, events);
  EXPECT_EQ(started, 1);
  ASSERT_EQ(cells.size(), 2U);
  EXPECT_EQ(cells[0].key, cells[1].key);
  EXPECT_EQ(cells[1].id, "fake/again");
}

TEST_F(StudyRun, OnlyOfUnknownNameIsAUsageError) {
  add("ok");
  Store store(study_.store);
  options_.only = {"okk"};
  expect_error(ErrorCode::usage, {"'okk'", "did you mean ok"},
               [&] { (void)run_study(study_, store, options_, {}); });
}

TEST_F(StudyRun, WhatAChildPrintsIsNoResult) {
  ::testing::internal::CaptureStdout();
  const StoredCell cell = run_one("prints");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(cell.status, "ok");
}

TEST_F(StudyRun, AFullDiskEndsTheRunAndLosesNothing) {
  {
    const testing::FullDisk disk;
    add("ok");
    add("ok2");
    Store store(study_.store);
    RunEvents events;
    events.cell_finished = [](const StoredCell&, bool) { testing::FullDisk::fill(); };
    expect_error(ErrorCode::io, {"disk is full", "a.db"},
                 [&] { (void)run_study(study_, store, options_, events); });
  }
  Store store(study_.store);
  EXPECT_EQ(store.cells("scripts").at(0).status, "ok");
  const auto cells = run_study(study_, store, options_, {});
  ASSERT_EQ(cells.size(), 2U);
  EXPECT_EQ(cells[1].status, "ok") << "the same command again finishes the work";
}

class StudyRounds : public StudyRun {
 protected:
  void add_rounds(const std::string& script, int rounds) {
    add(script);
    study_.cells.back().workload["interleave"] = rounds;
    study_.cells.back().tasks = {{{"task", "sst2"}}};
  }
  std::vector<StoredCell> run() {
    Store store(study_.store);
    RunEvents events;
    events.cell_started = [&](const Cell& cell, std::size_t index, std::size_t count) {
      EXPECT_EQ(index, order_.size());
      order_.push_back(cell.recipe_name);
      count_ = count;
    };
    return run_study(study_, store, options_, events);
  }
  std::vector<std::string> order_;
  std::size_t count_ = 0;
};

TEST_F(StudyRounds, CellsTakeTurnsAndTheirSamplesAreMerged) {
  add_rounds("timed", 3);
  study_.cells.back().model = folder_.write("other.gguf", "GGUF").string();
  add_rounds("timed too", 3);
  const auto cells = run();
  EXPECT_EQ(order_, (std::vector<std::string>{"timed", "timed too", "timed", "timed too", "timed",
                                              "timed too"}));
  EXPECT_EQ(count_, 6U);
  ASSERT_EQ(cells.size(), 2U);
  for (const auto& cell : cells) {
    EXPECT_EQ(cell.status, "ok") << cell.reason;
    ASSERT_EQ(cell.rows.size(), 2U);
    EXPECT_EQ(cell.rows[0]["samples"], Json({1, 2, 3}));
    EXPECT_EQ(cell.rows[0]["rounds"], 3);
    const Json rate = cell.rows[0]["metrics"]["tokens_per_second"];
    EXPECT_EQ(rate["value"], 4.0) << "8 tokens in the median of 1, 2 and 3 seconds";
    EXPECT_EQ(rate["n"], 3);
    EXPECT_EQ(rate["rounds"], Json({8.0, 4.0, 8.0 / 3}));
    EXPECT_EQ(cell.rows[1]["test"], "sst2") << "scored once, in the last round";
    EXPECT_EQ(cell.environment["witness"], "child");
  }
  order_.clear();
  (void)run();
  EXPECT_TRUE(order_.empty()) << "what is done is not measured again";
}

TEST_F(StudyRounds, ACellThatFailsLeavesTheTurnsAndTheOthersGoOn) {
  add_rounds("crashes in its second round", 3);
  add_rounds("timed", 3);
  add("ok");
  const auto cells = run();
  EXPECT_EQ(order_, (std::vector<std::string>{"crashes in its second round", "timed", "ok",
                                              "crashes in its second round", "timed", "timed"}));
  EXPECT_EQ(cells[0].status, "failed");
  ASSERT_EQ(cells[0].rows.size(), 1U) << "the round that came to its end is kept";
  EXPECT_EQ(cells[0].rows[0]["samples"], Json({1}));
  EXPECT_EQ(cells[1].status, "ok");
  EXPECT_EQ(cells[1].rows.at(0)["samples"], Json({1, 2, 3}));
  EXPECT_EQ(cells[2].status, "ok");
}

/// request_interrupt cannot be taken back, so the run that is interrupted lives in a process of its
/// own. Its exit code is the number of cells that were returned.
int interrupted_run(const Study& study, RunOptions options) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGALRM, [](int) { base::request_interrupt(SIGINT); });
    try {
      Store store(study.store);
      RunEvents events;
      events.row = [](const Cell&, const Json&) { ::ualarm(100'000, 0); };
      ::_exit(static_cast<int>(run_study(study, store, options, events).size()));
    } catch (...) {
      ::_exit(99);
    }
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(StudyRun, AnInterruptReachesTheChildAndLeavesTheRest) {
  add("polite");
  add("ok");
  const auto begin = Clock::now();
  EXPECT_EQ(interrupted_run(study_, options_), 1);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  Store store(study_.store);
  const auto cells = store.cells("scripts");
  ASSERT_EQ(cells.size(), 1U) << "the second was not begun";
  EXPECT_EQ(cells[0].status, "interrupted");
  EXPECT_EQ(cells[0].rows.size(), 2U) << "what the child sent after it was told is kept";
}

TEST_F(StudyRun, AnInterruptBetweenTurnsLeavesNoClaim) {
  add("polite");
  add("ok");
  for (auto& cell : study_.cells) cell.workload["interleave"] = 2;
  EXPECT_EQ(interrupted_run(study_, options_), 2);
  const auto cells = Store(study_.store).cells("scripts");
  ASSERT_EQ(cells.size(), 2U);
  for (const auto& cell : cells) EXPECT_EQ(cell.status, "interrupted") << cell.id;
}

TEST_F(StudyRun, AChildThatIgnoresTheInterruptIsKilledInTime) {
  add("stubborn");
  const auto begin = Clock::now();
  EXPECT_EQ(interrupted_run(study_, options_), 1);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  const auto cells = Store(study_.store).cells("scripts");
  EXPECT_EQ(cells.at(0).status, "interrupted");
  EXPECT_EQ(cells.at(0).reason, "stopped by the user");
  EXPECT_EQ(cells.at(0).rows.size(), 1U);
}

}  // namespace
}  // namespace assay::study
