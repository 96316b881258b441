#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "calibrate/table_file.h"
#include "cli/commands.h"
#include "cli/progress_line.h"
#include "study/calibration.h"

namespace assay::cli {
namespace {

struct CalibrateArguments {
  std::string model;
  precision::CalibrationData data;
  bool random = false;
  std::uint64_t seed = 1;
  std::string output;
  int threads = 0;
  bool quiet = false;
};

int run(CalibrateArguments arguments) {
  if (arguments.random == !arguments.data.file.empty()) {
    fail(ErrorCode::usage, "calibrate needs --data FILE, or --random for random tokens");
  }
  if (arguments.random) arguments.data.random_seed = arguments.seed;
  if (!arguments.random) {
    arguments.data.file = std::filesystem::absolute(arguments.data.file).string();
  }
  const study::Cell cell{.model = engine::find_model(arguments.model),
                         .threads = arguments.threads};
  precision::CalibrationTable table;
  {
    ProgressLine line(arguments.quiet);
    table = study::calibration_table(cell, arguments.data,
                                     [&line](const std::string& stage, double fraction) {
                                       line.update("calibrate", stage, fraction);
                                     });
  }
  calibrate::write_table(arguments.output, engine::content_hash(cell.model), table);
  fmt::print("{}: {} layers, by {} (table {:.12})\n", arguments.output, table.layers.size(),
             table.origin, table.hash());
  fmt::print("next: assay bench -m {} --precision bf16,int8-static --calibration {}\n",
             arguments.model, arguments.output);
  return 0;
}

}  // namespace

void add_calibrate(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand(
      "calibrate", "Note what enters each linear layer, for precisions with fixed scales");
  const auto a = std::make_shared<CalibrateArguments>();
  command->add_option("-m,--model", a->model, "as for bench")->required();
  command->add_option("--data", a->data.file, "text or pre-tokenized");
  command->add_flag("--random", a->random, "random tokens: for speed alone");
  command->add_option("--seed", a->seed, "of the random tokens")->capture_default_str();
  command->add_option("--samples", a->data.samples, "at most so many sequences")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--length", a->data.length, "tokens of each, where text is cut")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("-o,--output", a->output, "table, a .json file")->required();
  command->add_option("-t,--threads", a->threads, "0: all that this process may use");
  command->add_flag("-q,--quiet", a->quiet, "no progress");
  command->footer("Example: assay calibrate -m MODEL --data wiki.txt -o MODEL.calibration.json");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
