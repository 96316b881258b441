#include "study/store_database.h"

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/io.h"
#include "study/held_signal.h"

namespace assay::study {
namespace {

namespace fs = std::filesystem;

constexpr int kApplicationId = 0x61737379;  // "assy"
constexpr int kSchemaVersion = 1;
constexpr int kBusyMilliseconds = 30'000;

// Explained in docs/store.md.
constexpr const char* kSchema = R"sql(
CREATE TABLE attempts (
  attempt       INTEGER PRIMARY KEY AUTOINCREMENT,
  key           TEXT NOT NULL,
  id            TEXT NOT NULL,
  study         TEXT NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT NOT NULL DEFAULT '',
  cell          TEXT NOT NULL,
  plan          TEXT,
  environment   TEXT,
  seconds       REAL NOT NULL DEFAULT 0,
  claimed_at    INTEGER NOT NULL,
  finished_at   TEXT NOT NULL DEFAULT '',
  runner_pid    INTEGER NOT NULL,
  runner_start  INTEGER NOT NULL,
  runner_place  TEXT NOT NULL
);
CREATE INDEX attempts_by_key ON attempts (key, attempt);
CREATE UNIQUE INDEX one_runner ON attempts (key) WHERE status = 'running';
CREATE TABLE rows (
  attempt   INTEGER NOT NULL REFERENCES attempts (attempt),
  position  INTEGER NOT NULL,
  row       TEXT NOT NULL,
  PRIMARY KEY (attempt, position)
) WITHOUT ROWID;
CREATE TABLE items (
  attempt   INTEGER NOT NULL REFERENCES attempts (attempt),
  test      TEXT NOT NULL,
  position  INTEGER NOT NULL,
  item      TEXT NOT NULL,
  PRIMARY KEY (attempt, test, position)
) WITHOUT ROWID;
CREATE TABLE listing (
  position  INTEGER PRIMARY KEY AUTOINCREMENT,
  study     TEXT NOT NULL,
  id        TEXT NOT NULL,
  key       TEXT NOT NULL,
  cell      TEXT NOT NULL,
  UNIQUE (study, id)
);
)sql";

int number(SQLite::Database& database, const std::string& query) {
  return database.execAndGet(query).getInt();
}

/// Clear words before SQLite's "unable to open database file".
void check_place(const fs::path& path, bool read_only) {
  std::error_code error;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (fs::is_directory(path, error)) {
    fail(ErrorCode::io, "{} is a folder; a store is one file", path.string());
  }
  if (read_only && !fs::exists(path, error)) {
    fail(ErrorCode::io, "there is no store {}; `assay study run` makes one", path.string());
  }
  if (!fs::is_directory(folder, error)) {
    fail(ErrorCode::io, "cannot make the store {}: there is no folder {}", path.string(),
         folder.string());
  }
}

SQLite::Database open_file(const fs::path& path, bool read_only) {
  if (!read_only) {
    return {path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyMilliseconds};
  }
  return {path.string(), SQLite::OPEN_READONLY, kBusyMilliseconds};
}

/// A store in WAL mode cannot be read where its side files cannot be made, unless SQLite is told
/// that nobody writes; without a -wal file there is nothing in flight.
SQLite::Database open_immutable(const fs::path& path) {
  std::string escaped;
  for (const char c : fs::absolute(path).string()) {
    escaped += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
  }
  return {"file:" + escaped + "?immutable=1", SQLite::OPEN_READONLY | SQLite::OPEN_URI,
          kBusyMilliseconds};
}

bool is_empty(SQLite::Database& database) {
  return number(database, "SELECT count(*) FROM sqlite_master") == 0;
}

void check_identity(SQLite::Database& database, const fs::path& path, bool read_only) {
  if (is_empty(database)) {
    if (read_only) fail(ErrorCode::bad_data, "the store {} is empty", path.string());
    return;
  }
  if (number(database, "PRAGMA application_id") != kApplicationId) {
    fail(ErrorCode::bad_data, "{} is an SQLite file of another program; name another store",
         path.string());
  }
  const int schema = number(database, "PRAGMA user_version");
  if (schema != kSchemaVersion) {
    fail(ErrorCode::bad_data,
         "{} has schema version {}, this assay reads {}; use the assay that "
         "wrote it or name another store",
         path.string(), schema, kSchemaVersion);
  }
  const std::string verdict = database.execAndGet("PRAGMA quick_check(1)").getString();
  if (verdict != "ok") throw SQLite::Exception(verdict, SQLITE_CORRUPT);
}

/// Two processes that open a new store at once: SQLite asks no busy handler while the mode changes.
void use_wal(SQLite::Database& database) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(kBusyMilliseconds);
  while (true) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != SQLITE_BUSY || Clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// Also finds out whether the store can be written before hours of work depend on it.
void prepare_writing(SQLite::Database& database) {
  if (sqlite3_db_readonly(database.getHandle(), "main") == 1) {
    throw SQLite::Exception("the file is read-only", SQLITE_READONLY);
  }
  use_wal(database);
  database.exec("PRAGMA synchronous = FULL");
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  if (is_empty(database)) {
    database.exec(kSchema);
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    database.exec("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  }
  transaction.commit();
}

}  // namespace

void throw_store_error(const SQLite::Exception& error, const fs::path& path, int system_error) {
  const std::string file = path.string();
  const std::string said = base::printable(error.what());
  const int code = error.getErrorCode() & 0xFF;
  if (code == SQLITE_FULL || system_error == ENOSPC || system_error == EDQUOT ||
      system_error == EFBIG) {
    fail(ErrorCode::io,
         "{}: the disk is full; what was stored before is safe: free some space and "
         "run the same command again",
         file);
  }
  switch (code) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
      fail(ErrorCode::io,
           "the store {} cannot be written ({}); make it writable or name another "
           "store",
           file, said);
    case SQLITE_CANTOPEN:
      fail(ErrorCode::io,
           "cannot open or make the store {} ({}); is its folder writable? If not, "
           "name another store",
           file, said);
    case SQLITE_NOTADB:
      fail(ErrorCode::bad_data,
           "{} is no store of assay (no SQLite file); move it away or name "
           "another store",
           file);
    case SQLITE_CORRUPT:
      fail(ErrorCode::bad_data,
           "the store {} is damaged ({}); `sqlite3 FILE .recover` saves what "
           "is readable: move the file away and run again",
           file, said);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      fail(ErrorCode::io,
           "the store {} is locked by another process for over {} s; end that "
           "process and run again",
           file, kBusyMilliseconds / 1000);
    case SQLITE_IOERR:
      fail(ErrorCode::io,
           "reading or writing the store {} failed ({}); look at the disk and run "
           "again",
           file, said);
    default:
      fail(ErrorCode::internal, "the store {}: {}", file, said);
  }
}

SQLite::Database open_store(const fs::path& path, bool read_only) {
  check_place(path, read_only);
  const HeldSignal no_sigxfsz(SIGXFSZ);
  try {
    SQLite::Database database = open_file(path, read_only);
    try {
      static_cast<void>(is_empty(database));
    } catch (const SQLite::Exception& error) {
      std::error_code ignored;
      const bool quiet = !fs::exists(path.string() + "-wal", ignored);
      if (!read_only || !quiet || error.getErrorCode() != SQLITE_CANTOPEN) throw;
      database = open_immutable(path);
    }
    check_identity(database, path, read_only);
    if (!read_only) prepare_writing(database);
    return database;
  } catch (const SQLite::Exception& error) {
    throw_store_error(error, path, 0);
  }
}

}  // namespace assay::study
