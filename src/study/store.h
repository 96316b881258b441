#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "study/cell.h"

namespace assay::study {

/// A finished or unfinished cell as the store keeps it. `status`: ok, unsupported, oom, failed, timeout,
/// invalid, interrupted, or running.
struct StoredCell {
  std::string key;
  std::string id;
  std::string study;
  std::string status;
  std::string reason;
  Json cell;
  Json plan;
  Json environment;
  std::vector<Json> rows;  ///< rows of design.md section 8, in order
  double seconds = 0.0;
  std::string finished_at;  ///< ISO 8601, UTC
};

/// One SQLite file (WAL, synchronous FULL, integrity check on open, schema version checked). Every
/// write is one transaction. Errors: io (unwritable, disk full), bad_data (no store of ours, damaged).
class Store {
 public:
  explicit Store(const std::filesystem::path& path, bool read_only = false);
  ~Store();

  /// Claims a key for this process: false if a live runner holds it or it is finished with status ok.
  [[nodiscard]] bool claim(const Cell& cell, const std::string& key, const std::string& study);
  void add_plan(const std::string& key, const Json& plan);
  void add_row(const std::string& key, const Json& row);
  void add_items(const std::string& key, const std::string& test, const Json& items);
  void finish(const std::string& key, const std::string& status, const std::string& reason,
              const Json& environment, double seconds);

  [[nodiscard]] std::optional<StoredCell> find(const std::string& key) const;
  /// In the order of the study file's last run; all studies if empty.
  [[nodiscard]] std::vector<StoredCell> cells(const std::string& study = {}) const;
  [[nodiscard]] Json items(const std::string& key, const std::string& test) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay::study
