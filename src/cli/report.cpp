#include "report/report.h"

#include <fmt/core.h>

#include <memory>

#include "base/io.h"
#include "cli/screen.h"

namespace assay::cli {
namespace {

struct ReportArguments {
  std::string store;
  std::string study;
  std::string csv;
  std::string file;
  bool json = false;
  bool items = false;
  std::string test;
  std::string recipe;
  std::size_t most = 20;
  ScreenOptions screen;
};

std::string flips(const study::Store& store, const std::vector<study::StoredCell>& cells,
                  const ReportArguments& arguments) {
  const auto items = [&](const std::string& key, const std::string& test) {
    return store.items(key, test);
  };
  return report::flipped_items(cells, items, arguments.test, arguments.recipe, arguments.most);
}

int run(const ReportArguments& arguments) {
  const study::Store store(arguments.store, true);
  const auto cells = store.cells(arguments.study);
  if (cells.empty()) {
    fail(ErrorCode::bad_data, "{}: no cells{} in it; run a study or a bench first", arguments.store,
         arguments.study.empty() ? "" : " of study " + arguments.study);
  }
  ScreenOptions screen = arguments.screen;
  if (arguments.json) screen.output = "json";
  if (!arguments.csv.empty()) {
    base::write_atomically(std::filesystem::path(arguments.csv) / "rows.csv", report::csv(cells));
  }
  const std::string text =
      arguments.items ? flips(store, cells, arguments) : render(cells, store, screen);
  if (arguments.file.empty()) {
    fmt::print("{}", text);
  } else {
    base::write_atomically(arguments.file, text);
  }
  return 0;
}

}  // namespace

void add_report(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand("report", "Show what a store holds");
  const auto arguments = std::make_shared<ReportArguments>();
  command->add_option("store", arguments->store, "SQLite file")->required();
  command->add_option("--study", arguments->study, "only the cells of this study");
  command->add_option("--csv", arguments->csv, "write rows.csv into this folder");
  command->add_flag("--json", arguments->json, "same as -o json");
  command->add_option("--file", arguments->file, "write to a file in place of standard output");
  auto* items = command->add_flag("--items", arguments->items,
                                  "items that flip between each recipe and its baseline");
  command->add_option("--test", arguments->test, "with --items: only this task")->needs(items);
  command->add_option("--recipe", arguments->recipe, "with --items: only this recipe")
      ->needs(items);
  command->add_option("--most", arguments->most, "with --items: of each pair and task")
      ->needs(items)
      ->capture_default_str();
  add_screen_options(*command, arguments->screen);
  command->footer("Example: assay report assay.db -o md");
  command->callback([arguments, &outcome] { outcome.exit_code = run(*arguments); });
}

}  // namespace assay::cli
