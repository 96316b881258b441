#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/names.h"
#include "base/progress.h"
#include "measure/environment.h"
#include "study/build_info.h"
#include "study/cell_process.h"
#include "study/merge_rounds.h"
#include "study/study.h"

namespace assay::study {
namespace {

using Clock = std::chrono::steady_clock;

/// What takes longer shows its progress.
constexpr auto kQuietTime = std::chrono::seconds(2);

struct KeyedCell {
  const Cell* cell;
  std::string key;
  std::string problem;  ///< why there is no proper key: the cell cannot run
  std::string status;   ///< what it is then
  Json left;            ///< answers of an attempt that was stopped
};

/// How often a cell is begun; more than once only when it takes turns with others.
int rounds_of(const Cell& cell) {
  return cell.workload.is_object() ? std::max(1, cell.workload.value("interleave", 1)) : 1;
}

/// A claimed cell between its rounds.
struct Turn {
  const KeyedCell* item;
  int rounds;
  int done = 0;
  Outcome outcome = {};
  Json environment = nullptr;  ///< begins with the first round
  std::vector<Json> rows = {};
  double seconds = 0.0;

  [[nodiscard]] bool interleaved() const { return rounds > 1; }
  [[nodiscard]] bool over() const { return done == rounds || (done > 0 && outcome.status != "ok"); }
};

/// A model or data file that cannot be read has no content to hash; the cell fails under a key of
/// its own, and the others go on.
KeyedCell keyed(const Cell& cell, const RunEvents& events) {
  const base::ProgressSink progress = [&, start = Clock::now()](const std::string& stage,
                                                                double fraction) {
    // Small files are read before anyone looks.
    if (events.stage && Clock::now() - start > kQuietTime) events.stage(cell, stage, fraction);
  };
  try {
    return {.cell = &cell, .key = cell_key(cell, progress)};
  } catch (const Error& error) {
    return {.cell = &cell,
            .key = base::sha256_hex("without content: " + cell.to_json().dump()),
            .problem = error.what(),
            .status = std::string(cell_status(error.code()))};
  }
}

bool selected(const Cell& cell, const std::vector<std::string>& only) {
  return only.empty() || std::ranges::any_of(only, [&](const std::string& name) {
           return name == cell.id || name == cell.recipe_name;
         });
}

void check_only(const Study& study, const std::vector<std::string>& only) {
  std::vector<std::string> known;
  for (const Cell& cell : study.cells) {
    known.push_back(cell.id);
    if (std::ranges::find(known, cell.recipe_name) == known.end()) {
      known.push_back(cell.recipe_name);
    }
  }
  for (const auto& name : only) {
    if (std::ranges::find(known, name) != known.end()) continue;
    fail(ErrorCode::usage, "study '{}' has no cell or recipe '{}'{}", study.name, name,
         base::did_you_mean(name, known));
  }
}

Json environment_now() {
  Json result = measure::environment();
  // The child's own record, at its end, takes the place of the rest.
  result["before"] = {{"clock", result.value("clock", Json())},
                      {"load_average", result.value("load_average", Json())},
                      {"gpu", result["gpu"].value("state", Json())}};
  result["assay"] = kVersion;
  result["git_commit"] = kGitCommit;
  result["source_hash"] = kSourceHash;
  return result;
}

class Runner {
 public:
  Runner(const Study& study, Store& store, const RunOptions& options, const RunEvents& events)
      : study_(study), store_(store), options_(options), events_(events) {}
  std::vector<StoredCell> run();

 private:
  std::vector<StoredCell> run_in_turn(std::vector<KeyedCell>& all);
  std::vector<StoredCell> run_interleaved(std::vector<KeyedCell>& all);
  std::optional<Turn> claim(KeyedCell& item, const std::vector<std::string>& done);
  void run_round(Turn& turn);
  [[nodiscard]] Outcome watch(Turn& turn);
  void take(Turn& turn, const Json& record);
  void finish(Turn& turn);
  void run_rounds(std::vector<std::optional<Turn>>& turns);
  StoredCell stored(const KeyedCell& item) const;

  const Study& study_;
  Store& store_;
  const RunOptions& options_;
  const RunEvents& events_;
};

/// Rows are kept as they come: what a crash leaves behind is in the store. Those of a cell that
/// takes turns are kept here until they are merged.
void Runner::take(Turn& turn, const Json& record) {
  const KeyedCell& item = *turn.item;
  const std::string type = record.at("type").get<std::string>();
  if (type == "stage" && events_.stage) {
    const std::string round =
        turn.interleaved() ? fmt::format("round {} of {}: ", turn.done + 1, turn.rounds) : "";
    events_.stage(*item.cell, round + record.value("text", ""), record.value("fraction", 0.0));
  } else if (type == "plan") {
    Json plan = record;
    plan.erase("type");
    store_.add_plan(item.key, plan);
  } else if (type == "row") {
    if (turn.interleaved()) {
      turn.rows.push_back(record.at("row"));
    } else {
      store_.add_row(item.key, record.at("row"));
    }
    if (events_.row) events_.row(*item.cell, record.at("row"));
  } else if (type == "items") {
    store_.add_items(item.key, record.value("test", ""), record.value("items", Json::array()));
  } else if (type == "end" && record.contains("environment")) {
    turn.environment.update(record.at("environment"));
  }
}

/// One round: the cell's process divides its iterations by the rounds; tasks are scored in the
/// last.
Outcome Runner::watch(Turn& turn) {
  if (!turn.item->problem.empty()) return {turn.item->status, turn.item->problem};
  const WatchOptions options{.stall_seconds = options_.stall_seconds,
                             .grace_seconds = options_.grace_seconds,
                             .verbose = options_.verbose};
  Cell cell = *turn.item->cell;
  cell.resume = turn.item->left;
  if (turn.done + 1 < turn.rounds) cell.tasks = Json::array();
  return watch_cell(cell, options, [&](const Json& record) { take(turn, record); });
}

void Runner::run_round(Turn& turn) {
  const auto start = Clock::now();
  if (turn.done == 0) {
    turn.environment = environment_now();
    for (const auto& [test, items] : turn.item->left.items()) {
      store_.add_items(turn.item->key, test, items);
    }
  }
  turn.outcome = watch(turn);
  turn.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  ++turn.done;
}

void Runner::finish(Turn& turn) {
  const std::string& key = turn.item->key;
  if (!turn.over()) turn.outcome = {"interrupted", "stopped by the user"};
  try {
    for (const Json& row : merge_rounds(turn.rows)) store_.add_row(key, row);
  } catch (const Json::exception&) {
    turn.outcome = {"failed", "its rows of several rounds do not fit together"};
  }
  if (turn.environment.is_null()) turn.environment = environment_now();
  store_.finish(key, turn.outcome.status, turn.outcome.reason, turn.environment, turn.seconds);
}

StoredCell Runner::stored(const KeyedCell& item) const {
  auto found = store_.find(item.key);
  if (!found) fail(ErrorCode::internal, "cell {} is not in the store", item.cell->id);
  return renamed(std::move(*found), *item.cell, study_.name);
}

/// Empty where another runner has it, where it is done already, or where it is in `done`: two names
/// of one measurement are measured once.
std::optional<Turn> Runner::claim(KeyedCell& item, const std::vector<std::string>& done) {
  if (std::ranges::find(done, item.key) != done.end()) return std::nullopt;
  if (!options_.rerun) item.left = store_.unfinished_items(item.key);
  if (!store_.claim(*item.cell, item.key, study_.name, options_.rerun)) return std::nullopt;
  return Turn{.item = &item, .rounds = rounds_of(*item.cell)};
}

std::vector<StoredCell> Runner::run_in_turn(std::vector<KeyedCell>& all) {
  std::vector<StoredCell> results;
  std::vector<std::string> done;
  for (std::size_t i = 0; i < all.size() && !base::interrupted(); ++i) {
    auto turn = claim(all[i], done);
    if (turn) {
      if (events_.cell_started) events_.cell_started(*all[i].cell, i, all.size());
      run_round(*turn);
      finish(*turn);
    }
    done.push_back(all[i].key);
    results.push_back(stored(all[i]));
    if (events_.cell_finished) events_.cell_finished(results.back(), !turn);
  }
  return results;
}

/// One cell after the other, as often as each has rounds: A B C A B C.
void Runner::run_rounds(std::vector<std::optional<Turn>>& turns) {
  std::size_t begun = 0;
  std::size_t all = 0;
  int most = 0;
  for (const auto& turn : turns) {
    if (!turn) continue;
    all += static_cast<std::size_t>(turn->rounds);
    most = std::max(most, turn->rounds);
  }
  for (int round = 0; round < most; ++round) {
    for (auto& turn : turns) {
      if (base::interrupted()) return;
      if (!turn || turn->over()) continue;
      if (events_.cell_started) events_.cell_started(*turn->item->cell, begun, all);
      ++begun;
      run_round(*turn);
    }
  }
}

/// All cells are claimed before the first is begun.
std::vector<StoredCell> Runner::run_interleaved(std::vector<KeyedCell>& all) {
  std::vector<std::optional<Turn>> turns;
  std::vector<std::string> done;
  for (KeyedCell& item : all) {
    turns.push_back(claim(item, done));
    done.push_back(item.key);
  }
  run_rounds(turns);
  for (auto& turn : turns) {
    if (turn) finish(*turn);
  }
  std::vector<StoredCell> results;
  for (std::size_t i = 0; i < all.size(); ++i) {
    results.push_back(stored(all[i]));
    if (events_.cell_finished) events_.cell_finished(results.back(), !turns[i]);
  }
  return results;
}

std::vector<StoredCell> Runner::run() {
  check_only(study_, options_.only);
  std::vector<KeyedCell> all;
  std::vector<std::pair<Cell, std::string>> listing;
  for (const Cell& cell : study_.cells) {
    all.push_back(keyed(cell, events_));
    listing.emplace_back(cell, all.back().key);
  }
  store_.list(study_.name, listing);
  std::erase_if(all, [&](const KeyedCell& item) { return !selected(*item.cell, options_.only); });
  return std::ranges::any_of(all, [](const KeyedCell& c) { return rounds_of(*c.cell) > 1; })
             ? run_interleaved(all)
             : run_in_turn(all);
}

}  // namespace

std::vector<StoredCell> run_study(const Study& study, Store& store, const RunOptions& options,
                                  const RunEvents& events) {
  return Runner(study, store, options, events).run();
}

}  // namespace assay::study
