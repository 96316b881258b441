#include <fmt/core.h>

#include <memory>

#include "cli/screen.h"

namespace assay::cli {
namespace {

struct StudyArguments {
  std::string file;
  std::string store;
  std::string device;
  std::vector<std::string> only;
  bool rerun = false;
  bool resume = false;
  int interleave = 0;
  ScreenOptions screen;
};

/// Every cell on `device` in place of the study's own.
void move_to(study::Study& study, const std::string& device) {
  for (auto& cell : study.cells) {
    if (cell.id.ends_with("@" + cell.device)) {
      fail(ErrorCode::usage, "--device {}: study '{}' names several devices itself", device,
           study.name);
    }
    cell.device = device;
  }
}

study::Study read(const StudyArguments& arguments) {
  study::Study study = study::read_study(arguments.file);
  if (!arguments.store.empty()) study.store = arguments.store;
  if (!arguments.device.empty()) move_to(study, arguments.device);
  for (auto& cell : study.cells) {
    const bool timed = cell.workload.is_object();
    if (timed && arguments.interleave > 0) cell.workload["interleave"] = arguments.interleave;
  }
  return study;
}

int run_study(const StudyArguments& arguments) {
  const study::Study study = read(arguments);
  const auto checked = study::check(study);
  for (const auto& problem : checked.problems) fmt::print(stderr, "assay: {}\n", problem);
  if (!checked.can_run) return exit_code(ErrorCode::usage);
  return run_on_screen(
      study,
      {.only = arguments.only, .rerun = arguments.rerun, .verbose = arguments.screen.verbose},
      arguments.screen);
}

int check_study(const StudyArguments& arguments) {
  const study::Study study = read(arguments);
  const auto problems = study::check(study).problems;
  for (const auto& problem : problems) fmt::print("{}\n", problem);
  fmt::print("{} cells, {} problems\n", study.cells.size(), problems.size());
  return problems.empty() ? 0 : 1;
}

int show_status(const StudyArguments& arguments) {
  const study::Study study = read(arguments);
  const study::Store store(study.store, true);
  for (const auto& cell : study.cells) {
    const auto stored = store.find(study::cell_key(cell));
    const std::string reason = stored && !stored->reason.empty() ? "  " + stored->reason : "";
    fmt::print("{:<12} {}{}\n", stored ? stored->status : "open", cell.id, reason);
  }
  return 0;
}

}  // namespace

void add_study(CLI::App& program, Outcome& outcome) {
  auto* study = program.add_subcommand("study", "Run, check or look at a study file");
  study->require_subcommand(1);
  study->footer("Example: assay study run studies/quickstart.yaml --only int8");
  const auto arguments = std::make_shared<StudyArguments>();
  const auto add = [&](const std::string& name, const std::string& help, auto action) {
    auto* command = study->add_subcommand(name, help);
    command->add_option("file", arguments->file, "study file (YAML)")->required();
    command->add_option("--store", arguments->store, "SQLite file in place of the study's own");
    command->add_option("--device", arguments->device, "device in place of the study's own");
    command
        ->add_flag("--interleave{3}", arguments->interleave,
                   "cells take turns in so many rounds (3), so that drift hits all alike")
        ->check(CLI::Range(1, 1000));
    command->callback([arguments, action, &outcome] { outcome.exit_code = action(*arguments); });
    return command;
  };
  auto* runner = add("run", "Measure every cell that the store does not hold yet", run_study);
  runner->add_option("--only", arguments->only, "recipe names or cell ids")->delimiter(',');
  runner->add_flag("--rerun", arguments->rerun, "measure again what is there");
  runner->add_flag("--resume", arguments->resume,
                   "continue where the last run stopped (what happens anyway)");
  add_screen_options(*runner, arguments->screen);
  runner->footer("Example: assay study run studies/quickstart.yaml -o md");
  add("check", "List every problem of a study at once, without running it", check_study)
      ->footer("Example: assay study check studies/quickstart.yaml");
  add("status", "Show which cells are done", show_status)
      ->footer("Example: assay study status studies/quickstart.yaml");
}

}  // namespace assay::cli
