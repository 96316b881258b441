#include <fmt/core.h>

#include <memory>

#include "base/io.h"
#include "base/json.h"
#include "cli/commands.h"
#include "engine/planner.h"
#include "files/tensor_file.h"

namespace assay::cli {
namespace {

struct InspectArguments {
  std::string model;
  std::string plan;
  std::string device = "cpu";
  std::string output = "table";
  bool tensors = false;
};

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const auto n : shape) text += fmt::format("{}{}", text.empty() ? "" : " x ", n);
  return text.empty() ? "scalar" : text;
}

void print_tensors(const files::TensorFile& file) {
  const bool several = file.parts().size() > 1;
  for (const auto& tensor : file.tensors()) {
    const auto part = file.parts()[tensor.part].filename().string();
    fmt::print("{:<60} {:<6} {:<16} {:>12} bytes at {}{}\n", base::printable(tensor.name, 60),
               tensor.type, shape_text(tensor.shape), tensor.bytes.size(), tensor.offset,
               several ? " of " + base::printable(part) : "");
  }
}

void print_model(const engine::ModelSource& source) {
  const auto& config = source.config();
  fmt::print("{}: {} ({}), {:.1f} M parameters, stored as {}\n", source.name(), config.family,
             config.architecture, double(source.parameters()) / 1e6, source.source_name());
  fmt::print(
      "{} blocks, {} wide, {} heads ({} for keys and values) of {}, {} positions, vocabulary {}\n",
      config.blocks, config.hidden, config.heads, config.kv_heads, config.head_dim,
      config.max_positions, config.vocabulary);
  const Json stored = source.bytes_by_encoding();
  for (const auto& [encoding, bytes] : stored.items()) {
    fmt::print("  {:<6} {:>10.1f} MB\n", encoding, bytes.get<double>() / 1e6);
  }
  for (const auto& notice : source.weights().notices) fmt::print("note: {}\n", notice);
}

void print_plan(const precision::Plan& plan) {
  fmt::print("\nplan of {} on {}: activations {}, KV cache {}\n", plan.recipe, plan.device_names(),
             tensor::name_of(plan.activations), tensor::name_of(plan.kv));
  const bool several = plan.devices().size() > 1;
  for (const auto& entry : plan.entries) {
    std::string what =
        entry.reason.empty() ? std::string(entry.kernel.kernel) : "UNSUPPORTED: " + entry.reason;
    if (several) what = fmt::format("{:<7} {}", tensor::to_string(entry.device), what);
    fmt::print("  {:<48} {:>6} x {:<6} {:<18} {}\n", entry.layer.name, entry.layer.rows,
               entry.layer.cols, entry.precision.name, what);
  }
  for (const auto& notice : plan.notices) fmt::print("note: {}\n", notice);
  fmt::print("plan hash {}\n", plan.hash());
}

int inspect_model(const InspectArguments& arguments) {
  const auto source = engine::ModelSource::open(engine::find_model(arguments.model));
  const bool json = arguments.output == "json";
  if (!json) print_model(*source);
  if (!json && arguments.tensors) print_tensors(source->tensors());
  Json plans = Json::array();
  bool supported = true;
  if (!arguments.plan.empty()) {
    for (const auto& recipe : precision::parse_recipe_argument(arguments.plan)) {
      const auto plan = engine::make_plan(*source, recipe, {.device = arguments.device});
      supported = supported && plan.supported();
      plans.push_back(plan.to_json());
      if (!json) print_plan(plan);
    }
  }
  if (json) {
    fmt::print("{}\n", Json{{"model", source->name()},
                            {"family", source->config().family},
                            {"architecture", source->config().architecture},
                            {"parameters", source->parameters()},
                            {"bytes", source->bytes_by_encoding()},
                            {"plans", plans}}
                           .dump(2));
  }
  return supported ? 0 : exit_code(ErrorCode::unsupported);
}

int run(const InspectArguments& arguments) {
  const std::filesystem::path path(arguments.model);
  const bool alone = std::filesystem::is_regular_file(path) &&
                     !std::filesystem::exists(path.parent_path() / "config.json") &&
                     path.extension() != ".gguf";
  if (!alone) return inspect_model(arguments);
  // A lone weights file has no config: its tensors are all that can be shown.
  const auto file = files::open_tensor_file(path);
  fmt::print("{}: {}, {} tensors, no config.json beside it\n", path.string(), file.format(),
             file.tensors().size());
  print_tensors(file);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& program, Outcome& outcome) {
  auto* command =
      program.add_subcommand("inspect", "Check a model file and show what is in it, or its plan");
  const auto a = std::make_shared<InspectArguments>();
  command->add_option("model", a->model, "folder, file or org/name in the Hugging Face cache")
      ->required();
  command->add_option("--plan", a->plan, "recipe: show what each layer would run as");
  command->add_option("--device", a->device, "of the plan")->capture_default_str();
  command->add_option("-o,--output", a->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  command->add_flag("--tensors", a->tensors, "list every tensor");
  command->footer("Example: assay inspect model.gguf --plan int8");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
