#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "cli/adhoc.h"

namespace assay::cli {
namespace {

struct EvalArguments {
  AdhocArguments common;
  std::vector<std::string> tasks;
  std::string baseline;
  int limit = 0;
  int batch = 8;
  int context = 512;
  int stride = 512;
  int sequences = 16;
  int length = 64;
  std::uint64_t seed = 1;
};

/// "sst2=FILE" or "fidelity".
Json task_of(const std::string& text, const EvalArguments& a, const study::Cell& baseline) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  Json task = {{"task", name}};
  if (equals != std::string::npos) {
    task["file"] = std::filesystem::absolute(text.substr(equals + 1)).string();
  } else if (name == "sst2" || name == "perplexity") {
    fail(ErrorCode::usage, "task {0} needs a file: --tasks {0}=FILE", name);
  }
  if (name == "sst2") task["batch_size"] = a.batch;
  if (a.limit > 0) task["limit"] = a.limit;
  if (name == "perplexity") task.update({{"context", a.context}, {"stride", a.stride}});
  if (name == "fidelity") {
    task.update({{"sequences", a.sequences},
                 {"length", a.length},
                 {"seed", a.seed},
                 {"baseline", {{"name", baseline.recipe_name}, {"spec", baseline.recipe}}}});
  }
  return task;
}

int run(const EvalArguments& arguments) {
  study::Study study = adhoc_study("eval", arguments.common);
  study::Cell baseline = study.cells.front();
  if (!arguments.baseline.empty()) {
    const auto recipe = precision::parse_recipe_argument(arguments.baseline).front();
    baseline.recipe_name = recipe.name;
    baseline.recipe = recipe.spec;
  }
  for (auto& cell : study.cells) {
    for (const auto& text : arguments.tasks) {
      cell.tasks.push_back(task_of(text, arguments, baseline));
    }
  }
  return run_adhoc(study, arguments.common);
}

}  // namespace

void add_eval(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand("eval", "Score accuracy and fidelity at each precision");
  const auto a = std::make_shared<EvalArguments>();
  add_adhoc_options(*command, a->common);
  command
      ->add_option("--tasks", a->tasks,
                   "sst2=FILE, perplexity=FILE, fidelity[=FILE]; commas between")
      ->delimiter(',')
      ->required();
  command->add_option("--baseline", a->baseline,
                      "recipe that fidelity compares with; the first of --precision if not given");
  command->add_option("--limit", a->limit, "items (sst2) or windows (perplexity); 0: all");
  command->add_option("--batch-size", a->batch, "sst2: sequences at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--context", a->context, "perplexity: tokens of a window")
      ->capture_default_str();
  command->add_option("--stride", a->stride, "perplexity: tokens between windows")
      ->capture_default_str();
  command->add_option("--sequences", a->sequences, "fidelity: how many")->capture_default_str();
  command->add_option("--length", a->length, "fidelity: tokens of each")->capture_default_str();
  command->add_option("--seed", a->seed, "fidelity: of the sampling")->capture_default_str();
  command->footer(
      "Example: assay eval -m model.gguf --precision bf16,int8,nf4 --tasks fidelity\n"
      "         assay eval -m FOLDER --precision fp32,int8 --tasks sst2=dev.tsv --limit 500");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
