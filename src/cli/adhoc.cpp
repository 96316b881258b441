#include "cli/adhoc.h"

#include <fmt/core.h>

#include <charconv>
#include <filesystem>

#include "engine/planner.h"

namespace assay::cli {

void add_adhoc_options(CLI::App& command, AdhocArguments& a) {
  command
      .add_option("-m,--model", a.models,
                  "folder, file, org/name in the Hugging Face cache, or "
                  "synthetic:SHAPE[:seed=N][:outliers]; may be given several times")
      ->required();
  command
      .add_option("--precision,--recipe", a.precision,
                  "names, an inline recipe ('{precision: nf4, double_quant: true}') or a file")
      ->capture_default_str();
  command.add_option("--device", a.device, "cpu, cuda[:N] or auto")->capture_default_str();
  command.add_option("--calibration", a.calibration,
                     "for recipes that need calibration and name none: a table of assay calibrate "
                     "(.json), or text or pre-tokenized data");
  command.add_option("-t,--threads", a.threads, "0: all that this process may use");
  command.add_option("--on-unsupported", a.on_unsupported, "fail or fallback")
      ->check(CLI::IsMember({"fail", "fallback"}))
      ->capture_default_str();
  command.add_option("--store", a.store, "SQLite file that keeps every result")
      ->capture_default_str();
  command.add_flag("--resume", a.resume, "take finished cells from the store");
  add_screen_options(command, a.screen);
}

precision::Recipe with_calibration(const precision::Recipe& recipe, const std::string& file) {
  if (file.empty() || recipe.calibration || !recipe.needs_calibration()) return recipe;
  const std::string path = std::filesystem::absolute(file).string();
  Json spec = recipe.spec.is_string() ? Json{{"precision", recipe.spec}} : recipe.spec;
  if (path.ends_with(".json")) {
    spec["calibration"] = {{"table", path}};
  } else {
    spec["calibration"] = path;
  }
  return precision::parse_recipe(recipe.name, spec, "--calibration");
}

study::Study adhoc_study(const std::string& name, const AdhocArguments& arguments) {
  const bool fallback = arguments.on_unsupported == "fallback";
  if (!fallback || !engine::names_cuda(arguments.device)) {
    static_cast<void>(engine::resolve_device(arguments.device));
  }
  const auto recipes = precision::parse_recipe_argument(arguments.precision);
  study::Study study{.name = name, .store = arguments.store};
  for (const auto& model : arguments.models) {
    const auto path = engine::find_model(model);
    const auto source = engine::ModelSource::open(path);
    for (const auto& given : recipes) {
      const auto recipe = with_calibration(given, arguments.calibration);
      study.cells.push_back({.id = source->name() + "/" + recipe.name,
                             .model = path,
                             .recipe_name = recipe.name,
                             .recipe = recipe.spec,
                             .device = arguments.device,
                             .threads = arguments.threads,
                             .fallback = fallback});
    }
  }
  return study;
}

int run_adhoc(const study::Study& study, const AdhocArguments& arguments) {
  return run_on_screen(study, {.rerun = !arguments.resume, .verbose = arguments.screen.verbose},
                       arguments.screen);
}

std::vector<int> parse_counts(const std::string& text, const std::string& option) {
  std::vector<int> counts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    int value = -1;
    const auto result = std::from_chars(text.data() + begin, text.data() + end, value);
    if (result.ec != std::errc{} || result.ptr != text.data() + end || value < 0) {
      fail(ErrorCode::usage, "{} takes numbers such as 0,512, not '{}'", option, text);
    }
    counts.push_back(value);
    begin = end + 1;
  }
  return counts;
}

}  // namespace assay::cli
