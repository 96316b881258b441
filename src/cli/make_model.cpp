#include <fmt/core.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli/commands.h"
#include "cli/progress_line.h"
#include "engine/synthetic.h"
#include "models/synthetic.h"

namespace assay::cli {
namespace {

struct MakeModelArguments {
  engine::SyntheticModel model;
  std::string output;
  bool quiet = false;
};

int run(const MakeModelArguments& arguments) {
  const std::string name = engine::to_string(arguments.model);
  if (arguments.output.empty()) {
    static_cast<void>(engine::parse_synthetic(name));
    fmt::print("{}\nIt is made in memory wherever a model is named, and needs no files:\n", name);
    fmt::print("next: assay bench -m {} --precision bf16,int8,nf4\n", name);
    return 0;
  }
  engine::WrittenModel written;
  {
    ProgressLine line(arguments.quiet);
    const auto progress = [&line](const std::string& stage, double fraction) {
      line.update("make-model", stage, fraction);
    };
    written = engine::write_synthetic(arguments.model, arguments.output, progress);
  }
  fmt::print("{}: {}, {:.1f} MB in {} safetensors file{}\n", arguments.output, name,
             double(written.bytes) / 1e6, written.files, written.files == 1 ? "" : "s");
  fmt::print("next: assay bench -m {} --precision bf16,int8,nf4\n", arguments.output);
  return 0;
}

}  // namespace

void add_make_model(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand(
      "make-model", "Make a random model of a published shape, to measure speed and memory with");
  const auto a = std::make_shared<MakeModelArguments>();
  command
      ->add_option("--like", a->model.like,
                   fmt::format("one of {}", fmt::join(models::synthetic_names(), ", ")))
      ->required();
  command->add_option("--seed", a->model.seed, "of the weights")->capture_default_str();
  command->add_flag("--outliers", a->model.outliers,
                    "eight hidden columns with activations above 6, as large models have");
  command->add_option("-o,--output", a->output,
                      "new or empty folder; without it the model's name for -m is printed");
  command->add_flag("-q,--quiet", a->quiet, "no progress");
  command->footer(
      "Example: assay make-model --like tinyllama-1.1b --outliers -o tiny\n"
      "         assay bench -m synthetic:llama-3-8b:outliers --precision bf16,int8");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
