#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "study/cell.h"
#include "study/store.h"

namespace assay::study {

/// A study: a set of cells with one store. Read from YAML:
///   name: quickstart
///   store: assay.db
///   sixteen_bit: auto
///   interleave: 3                        (rounds in which cells take turns)
///   recipes: {C-1: bf16, ...}            (also usable by name below)
///   models:
///     - {model: PATH, recipes: [bf16, int8, C-1], baseline: bf16,
///        workload: {prompt: 512, generate: 128, depth: 0, repetitions: 5},
///        tasks: [fidelity, {task: sst2, file: ...}]}
/// Relative paths are relative to the study file; ${NAME} is an environment variable (an unset one
/// is an error with its line). Unknown keys are usage errors with line and near names.
struct Study {
  std::string name;
  std::filesystem::path store = "assay.db";
  std::vector<Cell> cells;
};
[[nodiscard]] Study read_study(const std::filesystem::path& file);

/// All problems at once, one line each. A run makes sense while the store can be written and some
/// cell has no problem: the others become rows with their reason.
struct CheckResult {
  std::vector<std::string> problems;
  bool can_run = true;
};

/// Checks files, memory, disk and devices of every cell.
[[nodiscard]] CheckResult check(const Study& study);

/// What a runner tells whoever draws: called on the parent's thread.
struct RunEvents {
  std::function<void(const Cell&, std::size_t index, std::size_t count)> cell_started;
  std::function<void(const Cell&, const std::string& stage, double fraction)> stage;
  std::function<void(const Cell&, const Json& row)> row;
  std::function<void(const StoredCell&, bool cached)> cell_finished;
};

struct RunOptions {
  std::vector<std::string> only;  ///< recipe names or cell ids; empty: all
  bool rerun = false;             ///< measure again what is already there
  double stall_seconds = 600;     ///< no record for so long: timeout
  double grace_seconds = 5;       ///< for a child that was told to stop; then it is killed
  bool verbose = false;
};

/// Runs every cell in a child process of its own, in turn; typed failures; returns the stored cells
/// in order. On interrupt: the child is told, the cell becomes `interrupted`, the rest is left for
/// the next run. The parent sleeps in poll(). Cells whose workload has "interleave" are begun so
/// many times, in turns (A B C A B C), and their rows merged (study/merge_rounds.h).
[[nodiscard]] std::vector<StoredCell> run_study(const Study& study, Store& store,
                                                const RunOptions& options, const RunEvents& events);

}  // namespace assay::study
