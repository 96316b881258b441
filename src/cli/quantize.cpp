#include "engine/quantize.h"

#include <fmt/core.h>

#include <memory>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/progress_line.h"

namespace assay::cli {
namespace {

struct QuantizeArguments {
  std::string model;
  std::string precision;
  std::string output;
  int threads = 0;
  bool quiet = false;
};

int run(const QuantizeArguments& arguments) {
  const auto recipes = precision::parse_recipe_argument(arguments.precision);
  if (recipes.size() != 1) fail(ErrorCode::usage, "quantize takes one --precision");
  const auto source = engine::ModelSource::open(engine::find_model(arguments.model));
  engine::QuantizeResult result;
  {
    ProgressLine line(arguments.quiet);
    const auto progress = [&line](const std::string& stage, double fraction) {
      line.update("quantize", stage, fraction);
    };
    result = engine::write_quantized(*source, recipes.front(), arguments.output,
                                     {.threads = arguments.threads, .progress = progress});
  }
  for (const auto& notice : result.notices) fmt::print("note: {}\n", notice);
  fmt::print("{}: {} layers as {}, {:.1f} MB in place of {:.1f} MB\n", arguments.output,
             result.layers, recipes.front().name, double(result.bytes_after) / 1e6,
             double(result.bytes_before) / 1e6);
  fmt::print("next: assay bench -m {} --precision stored\n", arguments.output);
  return 0;
}

}  // namespace

void add_quantize(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand(
      "quantize", "Write a model quantized, in the form that transformers loads (bitsandbytes)");
  const auto a = std::make_shared<QuantizeArguments>();
  command->add_option("-m,--model", a->model, "Hugging Face folder, or org/name in the cache")
      ->required();
  command
      ->add_option("--precision,--recipe", a->precision,
                   "nf4, fp4, int8 or a recipe of one of them")
      ->required();
  command->add_option("-o,--output", a->output, "new or empty folder")->required();
  command->add_option("-t,--threads", a->threads, "0: all that this process may use")
      ->check(CLI::Range(0, 1024));
  command->add_flag("-q,--quiet", a->quiet, "no progress");
  command->footer("Example: assay quantize -m MODEL --precision nf4 -o MODEL-nf4");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
