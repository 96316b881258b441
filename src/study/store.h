#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "study/cell.h"

namespace assay::study {

/// A finished or unfinished cell as the store keeps it. `status`: ok, unsupported, oom, failed,
/// timeout, invalid, interrupted, or running.
struct StoredCell {
  std::string key;
  std::string id;
  std::string study;
  std::string status;
  std::string reason;
  Json cell;               ///< Cell::to_json
  Json plan;               ///< the plan record of study/cell.h: "plan", "model", "parameters", ...
  Json environment;        ///< measure::environment() and the build
  std::vector<Json> rows;  ///< rows of design.md section 8, in order
  double seconds = 0.0;
  std::string finished_at;  ///< ISO 8601, UTC
};

/// One SQLite file (WAL, synchronous FULL, integrity check on open, schema version checked),
/// described in docs/store.md. Every write is one transaction. Nothing is ever deleted: measuring a
/// key again adds an attempt, and what is read is the newest attempt that came to an end. Errors:
/// io (unwritable, disk full), bad_data (no store of ours, damaged).
class Store {
 public:
  explicit Store(const std::filesystem::path& path, bool read_only = false);
  ~Store();

  [[nodiscard]] const std::filesystem::path& path() const;

  /// What a study consists of in its last run, in order; replaces what was listed before.
  void list(const std::string& study,
            const std::vector<std::pair<Cell, std::string>>& cells_and_keys);

  /// Claims a key for this process: false if a live runner holds it, or if it is finished with
  /// status ok and `again` is false. The claim of a runner that died is taken over.
  [[nodiscard]] bool claim(const Cell& cell, const std::string& key, const std::string& study,
                           bool again = false);
  // The following need a claim of this object (internal error otherwise).
  void add_plan(const std::string& key, const Json& plan);
  void add_row(const std::string& key, const Json& row);
  void add_items(const std::string& key, const std::string& test, const Json& items);
  /// Ends the claim.
  void finish(const std::string& key, const std::string& status, const std::string& reason,
              const Json& environment, double seconds);

  /// Under the names of the cell that was measured.
  [[nodiscard]] std::optional<StoredCell> find(const std::string& key) const;
  /// In the order of the study's last run, under the names that the study gives them; all studies
  /// if empty, each key once. Cells that no run has begun are left out.
  [[nodiscard]] std::vector<StoredCell> cells(const std::string& study = {}) const;
  /// In the order of their index "i" where they have one (each once), else as they came.
  [[nodiscard]] Json items(const std::string& key, const std::string& test) const;
  /// Answers of the newest attempt where that was stopped early, by test; null where there is none.
  [[nodiscard]] Json unfinished_items(const std::string& key) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A result under the names of another cell with the same key: two recipes of a study may be one
/// and the same measurement.
[[nodiscard]] StoredCell renamed(StoredCell stored, const Cell& cell, const std::string& study);

}  // namespace assay::study
