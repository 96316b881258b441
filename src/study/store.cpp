#include "study/store.h"

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <ctime>
#include <map>
#include <set>

#include "study/held_signal.h"
#include "study/runner_identity.h"
#include "study/store_database.h"

namespace assay::study {
namespace {

/// The attempt that stands for a key: the newest, but one that is running or was interrupted gives
/// way where an earlier one is ok.
constexpr const char* kCurrentAttempt = R"sql(
SELECT attempt FROM attempts WHERE key = ?1
ORDER BY status IN ('running', 'interrupted')
         AND EXISTS (SELECT 1 FROM attempts WHERE key = ?1 AND status = 'ok'),
         attempt DESC
LIMIT 1)sql";

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json json_of(const SQLite::Column& column, const std::filesystem::path& path) {
  if (column.isNull()) return nullptr;
  return base::parse_json(column.getString(), path.string());
}

/// By their index; of two with the same the later one counts.
Json in_order(const Json& items) {
  std::map<std::int64_t, const Json*> by_index;
  for (const Json& item : items) {
    if (!item.is_object() || !item.contains("i")) return items;
    by_index[item.at("i").get<std::int64_t>()] = &item;
  }
  Json result = Json::array();
  for (const auto& [index, item] : by_index) result.push_back(*item);
  return result;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

struct Store::State {
  std::filesystem::path path;
  mutable SQLite::Database database;
  std::map<std::string, std::int64_t> claimed;  ///< key -> attempt of this object

  State(const std::filesystem::path& file, bool read_only)
      : path(file), database(open_store(file, read_only)) {}

  template <typename F>
  auto guarded(F&& body) const {
    const HeldSignal no_sigxfsz(SIGXFSZ);  // a file size limit is an error like a full disk
    try {
      return body();
    } catch (const SQLite::Exception& error) {
      throw_store_error(error, path, sqlite3_system_errno(database.getHandle()));
    }
  }

  template <typename F>
  void write(F&& body) {
    guarded([&] {
      SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
      body();
      transaction.commit();
    });
  }

  template <typename... Values>
  void execute(const char* query, const Values&... values) {
    SQLite::Statement statement(database, query);
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.exec();
  }

  [[nodiscard]] std::int64_t attempt_of(const std::string& key) const {
    const auto found = claimed.find(key);
    if (found == claimed.end()) fail(ErrorCode::internal, "cell {} was not claimed", key);
    return found->second;
  }

  void add_listing(const Cell& cell, const std::string& key, const std::string& study) {
    execute(
        "INSERT INTO listing (study, id, key, cell) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (study, id) DO UPDATE SET key = excluded.key, cell = excluded.cell",
        study, cell.id, key, text_of(cell.to_json()));
  }

  [[nodiscard]] bool held(const std::string& key);
  [[nodiscard]] bool is_ok(const std::string& key) const;
  [[nodiscard]] std::optional<std::int64_t> current_attempt(const std::string& key) const;
  [[nodiscard]] StoredCell load(std::int64_t attempt) const;
  [[nodiscard]] Json items_of(std::int64_t attempt, const std::string& test) const;
};

Json Store::State::items_of(std::int64_t attempt, const std::string& test) const {
  Json result = Json::array();
  SQLite::Statement query(
      database, "SELECT item FROM items WHERE attempt = ? AND test = ? ORDER BY position");
  query.bind(1, attempt);
  query.bind(2, test);
  while (query.executeStep()) result.push_back(json_of(query.getColumn(0), path));
  return result;
}

/// Whether a live runner has the key; a dead one's claim is ended as interrupted.
bool Store::State::held(const std::string& key) {
  SQLite::Statement query(database,
                          "SELECT attempt, runner_pid, runner_start, runner_place, claimed_at "
                          "FROM attempts WHERE key = ? AND status = 'running'");
  query.bind(1, key);
  if (!query.executeStep()) return false;
  const RunnerIdentity runner{.pid = query.getColumn(1).getInt64(),
                              .start = query.getColumn(2).getInt64(),
                              .place = query.getColumn(3).getString()};
  if (is_alive(runner, std::difftime(std::time(nullptr), query.getColumn(4).getInt64()))) {
    return true;
  }
  execute(
      "UPDATE attempts SET status = 'interrupted', reason = ?, finished_at = ? "
      "WHERE attempt = ?",
      fmt::format("its runner (process {}) ended without finishing it", runner.pid), utc_now(),
      query.getColumn(0).getInt64());
  return false;
}

bool Store::State::is_ok(const std::string& key) const {
  const auto attempt = current_attempt(key);
  if (!attempt) return false;
  SQLite::Statement query(database, "SELECT status FROM attempts WHERE attempt = ?");
  query.bind(1, *attempt);
  return query.executeStep() && query.getColumn(0).getString() == "ok";
}

std::optional<std::int64_t> Store::State::current_attempt(const std::string& key) const {
  SQLite::Statement query(database, kCurrentAttempt);
  query.bind(1, key);
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

StoredCell Store::State::load(std::int64_t attempt) const {
  SQLite::Statement query(
      database,
      "SELECT key, id, study, status, reason, cell, plan, environment, seconds, "
      "finished_at, runner_pid, runner_start, runner_place, claimed_at "
      "FROM attempts WHERE attempt = ?");
  query.bind(1, attempt);
  if (!query.executeStep()) fail(ErrorCode::internal, "{}: lost an attempt", path.string());
  StoredCell stored{.key = query.getColumn(0).getString(),
                    .id = query.getColumn(1).getString(),
                    .study = query.getColumn(2).getString(),
                    .status = query.getColumn(3).getString(),
                    .reason = query.getColumn(4).getString(),
                    .cell = json_of(query.getColumn(5), path),
                    .plan = json_of(query.getColumn(6), path),
                    .environment = json_of(query.getColumn(7), path),
                    .rows = {},
                    .seconds = query.getColumn(8).getDouble(),
                    .finished_at = query.getColumn(9).getString()};
  const RunnerIdentity runner{.pid = query.getColumn(10).getInt64(),
                              .start = query.getColumn(11).getInt64(),
                              .place = query.getColumn(12).getString()};
  const double age = std::difftime(std::time(nullptr), query.getColumn(13).getInt64());
  if (stored.status == "running" && !is_alive(runner, age)) {
    stored.status = "interrupted";
    stored.reason = fmt::format("its runner (process {}) ended without finishing it", runner.pid);
  }
  SQLite::Statement rows(database, "SELECT row FROM rows WHERE attempt = ? ORDER BY position");
  rows.bind(1, attempt);
  while (rows.executeStep()) stored.rows.push_back(json_of(rows.getColumn(0), path));
  return stored;
}

Store::Store(const std::filesystem::path& path, bool read_only)
    : state_(std::make_unique<State>(path, read_only)) {}

Store::~Store() {
  // A claim that an error has left behind would look like a running cell for as long as this
  // process lives. Where even that cannot be written, the next run sees that its runner is gone.
  const auto left = state_->claimed;
  for (const auto& [key, attempt] : left) {
    try {
      finish(key, "interrupted", "its run ended early", nullptr, 0.0);
    } catch (const Error&) {
      break;
    }
  }
}

const std::filesystem::path& Store::path() const { return state_->path; }

void Store::list(const std::string& study,
                 const std::vector<std::pair<Cell, std::string>>& cells_and_keys) {
  state_->write([&] {
    state_->execute("DELETE FROM listing WHERE study = ?", study);
    for (const auto& [cell, key] : cells_and_keys) state_->add_listing(cell, key, study);
  });
}

bool Store::claim(const Cell& cell, const std::string& key, const std::string& study, bool again) {
  bool won = false;
  state_->write([&] {
    state_->add_listing(cell, key, study);
    if (state_->held(key) || (!again && state_->is_ok(key))) return;
    const RunnerIdentity self = this_runner();
    state_->execute(
        "INSERT INTO attempts (key, id, study, status, cell, claimed_at, runner_pid, "
        "runner_start, runner_place) VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?)",
        key, cell.id, study, text_of(cell.to_json()), static_cast<std::int64_t>(std::time(nullptr)),
        self.pid, self.start, self.place);
    won = true;
  });
  if (won) state_->claimed[key] = state_->database.getLastInsertRowid();
  return won;
}

void Store::add_plan(const std::string& key, const Json& plan) {
  state_->write([&] {
    state_->execute("UPDATE attempts SET plan = ? WHERE attempt = ?", text_of(plan),
                    state_->attempt_of(key));
  });
}

void Store::add_row(const std::string& key, const Json& row) {
  state_->write([&] {
    state_->execute(
        "INSERT INTO rows (attempt, position, row) SELECT ?1, "
        "coalesce(max(position) + 1, 0), ?2 FROM rows WHERE attempt = ?1",
        state_->attempt_of(key), text_of(row));
  });
}

void Store::add_items(const std::string& key, const std::string& test, const Json& items) {
  const std::int64_t attempt = state_->attempt_of(key);
  state_->write([&] {
    SQLite::Statement last(state_->database,
                           "SELECT coalesce(max(position) + 1, 0) FROM items "
                           "WHERE attempt = ? AND test = ?");
    last.bind(1, attempt);
    last.bind(2, test);
    last.executeStep();
    std::int64_t position = last.getColumn(0).getInt64();
    SQLite::Statement insert(state_->database, "INSERT INTO items VALUES (?, ?, ?, ?)");
    for (const Json& item : items) {
      insert.reset();
      insert.bind(1, attempt);
      insert.bind(2, test);
      insert.bind(3, position++);
      insert.bind(4, text_of(item));
      insert.exec();
    }
  });
}

void Store::finish(const std::string& key, const std::string& status, const std::string& reason,
                   const Json& environment, double seconds) {
  state_->write([&] {
    state_->execute(
        "UPDATE attempts SET status = ?, reason = ?, environment = ?, seconds = ?, "
        "finished_at = ? WHERE attempt = ?",
        status, reason, text_of(environment), seconds, utc_now(), state_->attempt_of(key));
  });
  state_->claimed.erase(key);
}

std::optional<StoredCell> Store::find(const std::string& key) const {
  return state_->guarded([&]() -> std::optional<StoredCell> {
    const auto attempt = state_->current_attempt(key);
    if (!attempt) return std::nullopt;
    return state_->load(*attempt);
  });
}

std::vector<StoredCell> Store::cells(const std::string& study) const {
  return state_->guarded([&] {
    SQLite::Statement query(state_->database,
                            "SELECT study, key, cell FROM listing WHERE ?1 = '' OR study = ?1 "
                            "ORDER BY position");
    query.bind(1, study);
    std::vector<StoredCell> result;
    std::set<std::string> seen;
    while (query.executeStep()) {
      const std::string key = query.getColumn(1).getString();
      if (study.empty() && !seen.insert(key).second) continue;
      const auto attempt = state_->current_attempt(key);
      if (!attempt) continue;
      const Cell cell = Cell::from_json(json_of(query.getColumn(2), state_->path));
      result.push_back(renamed(state_->load(*attempt), cell, query.getColumn(0).getString()));
    }
    return result;
  });
}

Json Store::items(const std::string& key, const std::string& test) const {
  return state_->guarded([&] {
    const auto attempt = state_->current_attempt(key);
    return attempt ? in_order(state_->items_of(*attempt, test)) : Json::array();
  });
}

Json Store::unfinished_items(const std::string& key) const {
  return state_->guarded([&]() -> Json {
    SQLite::Statement newest(state_->database,
                             "SELECT attempt FROM attempts WHERE key = ? AND attempt = (SELECT "
                             "max(attempt) FROM attempts WHERE key = ?) AND status IN "
                             "('running', 'interrupted', 'timeout', 'oom', 'failed')");
    newest.bind(1, key);
    newest.bind(2, key);
    if (!newest.executeStep()) return nullptr;
    const std::int64_t attempt = newest.getColumn(0).getInt64();
    Json result;
    SQLite::Statement tests(state_->database, "SELECT DISTINCT test FROM items WHERE attempt = ?");
    tests.bind(1, attempt);
    while (tests.executeStep()) {
      const std::string test = tests.getColumn(0).getString();
      result[test] = in_order(state_->items_of(attempt, test));
    }
    return result;
  });
}

StoredCell renamed(StoredCell stored, const Cell& cell, const std::string& study) {
  const auto old_name = stored.cell.value("recipe_name", std::string());
  stored.id = cell.id;
  stored.study = study;
  stored.cell = cell.to_json();
  for (Json& row : stored.rows) {
    const auto recipe = row.value("recipe", std::string());
    if (!old_name.empty() && recipe.starts_with(old_name)) {
      row["recipe"] = cell.recipe_name + recipe.substr(old_name.size());
    }
  }
  return stored;
}

}  // namespace assay::study
