#include <algorithm>
#include <chrono>
#include <utility>

#include "base/hash.h"
#include "base/names.h"
#include "base/progress.h"
#include "measure/environment.h"
#include "study/build_info.h"
#include "study/cell_process.h"
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
  Json left;            ///< answers of an attempt that was stopped
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
    return {&cell, cell_key(cell, progress), {}, {}};
  } catch (const Error& error) {
    return {&cell, base::sha256_hex("without content: " + cell.to_json().dump()), error.what(), {}};
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
  void run_one(const KeyedCell& item);
  Outcome watch(const KeyedCell& item);
  void take(const KeyedCell& item, const Json& record);
  StoredCell stored(const KeyedCell& item) const;

  const Study& study_;
  Store& store_;
  const RunOptions& options_;
  const RunEvents& events_;
  Json environment_;
};

/// Rows are kept as they come: what a crash leaves behind is in the store.
void Runner::take(const KeyedCell& item, const Json& record) {
  const std::string type = record.at("type").get<std::string>();
  if (type == "stage" && events_.stage) {
    events_.stage(*item.cell, record.value("text", ""), record.value("fraction", 0.0));
  } else if (type == "plan") {
    Json plan = record;
    plan.erase("type");
    store_.add_plan(item.key, plan);
  } else if (type == "row") {
    store_.add_row(item.key, record.at("row"));
    if (events_.row) events_.row(*item.cell, record.at("row"));
  } else if (type == "items") {
    store_.add_items(item.key, record.value("test", ""), record.value("items", Json::array()));
  } else if (type == "end" && record.contains("environment")) {
    environment_.update(record.at("environment"));
  }
}

Outcome Runner::watch(const KeyedCell& item) {
  if (!item.problem.empty()) return {"failed", item.problem};
  const WatchOptions options{.stall_seconds = options_.stall_seconds,
                             .grace_seconds = options_.grace_seconds,
                             .verbose = options_.verbose};
  Cell cell = *item.cell;
  cell.resume = item.left;
  return watch_cell(cell, options, [&](const Json& record) { take(item, record); });
}

void Runner::run_one(const KeyedCell& item) {
  const auto start = Clock::now();
  environment_ = environment_now();
  const Outcome outcome = watch(item);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  store_.finish(item.key, outcome.status, outcome.reason, environment_, seconds);
}

StoredCell Runner::stored(const KeyedCell& item) const {
  auto found = store_.find(item.key);
  if (!found) fail(ErrorCode::internal, "cell {} is not in the store", item.cell->id);
  return renamed(std::move(*found), *item.cell, study_.name);
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

  std::vector<StoredCell> results;
  std::vector<std::string> done;  // two names of one measurement are measured once
  for (std::size_t i = 0; i < all.size() && !base::interrupted(); ++i) {
    KeyedCell& item = all[i];
    const bool repeated = std::ranges::find(done, item.key) != done.end();
    if (!options_.rerun) item.left = store_.unfinished_items(item.key);
    const bool mine = !repeated && store_.claim(*item.cell, item.key, study_.name, options_.rerun);
    if (mine) {
      if (events_.cell_started) events_.cell_started(*item.cell, i, all.size());
      for (const auto& [test, items] : item.left.items()) store_.add_items(item.key, test, items);
      run_one(item);
    }
    done.push_back(item.key);
    results.push_back(stored(item));
    if (events_.cell_finished) events_.cell_finished(results.back(), !mine);
  }
  return results;
}

}  // namespace

std::vector<StoredCell> run_study(const Study& study, Store& store, const RunOptions& options,
                                  const RunEvents& events) {
  return Runner(study, store, options, events).run();
}

}  // namespace assay::study
