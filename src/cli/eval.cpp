#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/names.h"
#include "cli/adhoc.h"
#include "stats/paired.h"
#include "tasks/hub_data.h"

namespace assay::cli {
namespace {

struct EvalArguments {
  AdhocArguments common;
  std::vector<std::string> tasks;
  std::string baseline;
  int limit = 0;
  int batch = 0;
  int shots = 5;
  std::string split;
  std::string procedure = "huggingface";
  int context = 512;
  int stride = 0;
  int sequences = 16;
  int length = 64;
  std::uint64_t seed = 1;
};

/// "sst2=FILE" or "fidelity".
Json task_of(const std::string& text, const EvalArguments& a, const study::Cell& baseline) {
  static const std::vector<std::string> known = {"sst2",       "hellaswag",       "mmlu",
                                                 "perplexity", "multiple_choice", "fidelity"};
  const std::size_t equals = text.find('=');
  const std::size_t at = text.substr(0, equals).find('@');
  const std::string name = text.substr(0, std::min(equals, at));
  if (std::ranges::find(known, name) == known.end()) {
    fail(ErrorCode::usage, "unknown task '{}'{}; this build has {}", name,
         base::did_you_mean(name, known), fmt::join(known, ", "));
  }
  Json task = {{"task", name}};
  if (equals != std::string::npos) {
    task["file"] = std::filesystem::absolute(text.substr(equals + 1)).string();
  } else if (tasks::has_hub_data(name)) {
    const auto data =
        tasks::find_hub_data(name, at == std::string::npos ? "" : text.substr(at + 1));
    task["file"] = data.path.string();
    task["dataset"] = {{"repo", data.repo}, {"revision", data.revision}};
  } else if (name != "fidelity") {
    fail(ErrorCode::usage, "task {0} needs a {1}: --tasks {0}={2}", name,
         name == "mmlu" ? "folder" : "file", name == "mmlu" ? "DIR" : "FILE");
  }
  if (a.batch > 0 && name != "perplexity" && name != "fidelity") task["batch_size"] = a.batch;
  if (a.limit > 0) task["limit"] = a.limit;
  if (name == "mmlu") {
    task["num_fewshot"] = a.shots;
    if (!a.split.empty()) task["split"] = a.split;
  }
  if (name == "perplexity") {
    task.update({{"procedure", a.procedure},
                 {"context", a.context},
                 {"stride", a.stride > 0 ? a.stride : a.context}});
  }
  if (name == "fidelity") {
    task.update({{"sequences", a.sequences},
                 {"length", a.length},
                 {"seed", a.seed},
                 {"baseline", {{"name", baseline.recipe_name}, {"spec", baseline.recipe}}}});
  }
  return task;
}

/// What a reader of an accuracy table wants to tell apart, in points.
constexpr double kWantedPoints = 2.0;
/// Share of answers that two precisions of a model give differently; only an example before the
/// run.
constexpr double kUsualFlips = 0.1;
constexpr int kMmluSubjects = 57;

/// --limit may leave fewer items than the question needs; the table says later what was in fact
/// visible.
void warn_of_limit(const EvalArguments& a) {
  if (a.limit == 0 || a.common.screen.quiet) return;
  for (const std::string& text : a.tasks) {
    const std::string name = text.substr(0, text.find_first_of("=@"));
    if (name == "perplexity" || name == "fidelity") continue;
    const std::int64_t items = std::int64_t{a.limit} * (name == "mmlu" ? kMmluSubjects : 1);
    const double visible = 100 * stats::smallest_detectable_difference(items, kUsualFlips);
    if (visible <= kWantedPoints) continue;
    fmt::print(
        stderr,
        "--limit {}: {} items of {} cannot show a difference under {:.1f} points (if {:.0f} % "
        "of the answers change); {:.0f} points need about {} items\n",
        a.limit, items, name, visible, 100 * kUsualFlips, kWantedPoints,
        stats::items_needed(kWantedPoints / 100, kUsualFlips));
  }
}

int run(const EvalArguments& arguments) {
  warn_of_limit(arguments);
  study::Study study = adhoc_study("eval", arguments.common);
  study::Cell baseline = study.cells.front();
  if (!arguments.baseline.empty()) {
    const auto recipe = precision::parse_recipe_argument(arguments.baseline).front();
    baseline.recipe_name = recipe.name;
    baseline.recipe = recipe.spec;
    const bool measured = std::ranges::any_of(
        study.cells, [&](const study::Cell& cell) { return cell.recipe_name == recipe.name; });
    for (auto& cell : study.cells) cell.baseline = measured ? recipe.name : "";
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
      ->add_option(
          "--tasks", a->tasks,
          "sst2=FILE, hellaswag=FILE, mmlu=DIR, multiple_choice=FILE, perplexity=FILE, "
          "fidelity[=FILE]; commas between. sst2, hellaswag and mmlu without a file: the "
          "hub's data set in the Hugging Face cache, at a pinned revision or NAME@REVISION")
      ->delimiter(',')
      ->required();
  command->add_option("--baseline", a->baseline,
                      "recipe that the others are compared with; the first of --precision if not "
                      "given");
  command->add_option("--limit", a->limit,
                      "items (mmlu: of each subject; perplexity: windows); 0: all");
  command->add_option("--batch-size", a->batch, "items at a time; 0: 8 for sst2, else 16");
  command->add_option("--num-fewshot", a->shots, "mmlu: questions with answers before each")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command->add_option("--split", a->split, "mmlu: test, val or dev; test if it is there, else val")
      ->check(CLI::IsMember({"test", "val", "dev"}));
  command->add_option("--procedure", a->procedure, "perplexity: huggingface or llama.cpp")
      ->check(CLI::IsMember({"huggingface", "llama.cpp"}))
      ->capture_default_str();
  command->add_option("--context", a->context, "perplexity: tokens of a window")
      ->capture_default_str();
  command->add_option("--stride", a->stride,
                      "perplexity (huggingface): tokens between windows; 0: as the context");
  command->add_option("--sequences", a->sequences, "fidelity: how many")->capture_default_str();
  command->add_option("--length", a->length, "fidelity: tokens of each")->capture_default_str();
  command->add_option("--seed", a->seed, "fidelity: of the sampling")->capture_default_str();
  command->footer(
      "Example: assay eval -m model.gguf --precision bf16,int8,nf4 --tasks fidelity\n"
      "         assay eval -m FOLDER --precision fp32,int8 --tasks sst2=dev.tsv --limit 500\n"
      "         assay eval -m model.gguf --precision bf16,nf4 --tasks "
      "hellaswag=val.jsonl,mmlu=DIR");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
