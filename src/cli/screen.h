#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"
#include "study/study.h"

namespace assay::cli {

/// How results are shown; shared by bench, eval and study run.
struct ScreenOptions {
  std::string output = "table";  ///< table, md, json, jsonl, csv
  bool quiet = false;
  bool verbose = false;
};
void add_screen_options(CLI::App& command, ScreenOptions& options);

/// Cells in the chosen format, as text for standard output; `store` holds their answers.
[[nodiscard]] std::string render(const std::vector<study::StoredCell>& cells,
                                 const study::Store& store, const ScreenOptions& options);

/// One line for the machine, and one with a mark for each precision that works here.
[[nodiscard]] std::string machine_lines();

/// Runs the study with progress on standard error, then prints the result on standard output: for
/// `table` the whole first screen. Returns the exit code: 0 all cells ok, 1 some not, 130
/// interrupted; where a single cell was asked for, its own error's code.
[[nodiscard]] int run_on_screen(const study::Study& study, const study::RunOptions& run,
                                const ScreenOptions& options);

}  // namespace assay::cli
