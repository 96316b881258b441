#include "measure/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/adhoc.h"
#include "cli/commands.h"
#include "engine/planner.h"
#include "measure/environment.h"
#include "study/calibration.h"

namespace assay::cli {
namespace {

struct VerifyArguments {
  std::string model;
  std::string precision = "bf16";
  std::string device = "cuda";
  std::string calibration;
  std::string output = "table";
  measure::VerifyWorkload workload;
  bool deterministic = false;
  bool launches_only = false;
};

/// What came of one recipe.
struct Verdict {
  std::string recipe;
  std::string device;
  std::string reason;  ///< why it could not be run, or how ledger and plan differ
  measure::Verification found;
  bool launches_only = false;

  [[nodiscard]] bool verified() const {
    return reason.empty() && !found.lines.empty() && !found.contradicted() &&
           (launches_only || found.recorded());
  }
  [[nodiscard]] std::string words() const {
    if (!reason.empty()) return "not verified: " + reason;
    if (found.lines.empty()) return "not verified: nothing ran on a CUDA device";
    if (found.contradicted()) return "not verified: the witness says otherwise";
    if (found.recorded()) return "verified";
    if (launches_only) return "verified, launches only";
    return "not verified: launches agree, but the instructions of kernels are not recorded (the "
           "build had no cuobjdump, or the driver compiled them from PTX); --launches-only does "
           "without";
  }
};

Verdict verify(const engine::ModelSource& source, const precision::Recipe& recipe,
               const VerifyArguments& a) {
  Verdict verdict{.recipe = recipe.name, .launches_only = a.launches_only};
  const study::Cell cell{.id = recipe.name,
                         .model = a.model,
                         .recipe_name = recipe.name,
                         .recipe = recipe.spec,
                         .device = a.device};
  precision::Plan plan = study::calibrated_plan(source, recipe, cell, {});
  verdict.device = plan.device_names();
  if (!plan.supported()) {
    verdict.reason = plan.reasons();
    return verdict;
  }
  // Before the model is there, so that graphs are made under its eyes.
  kernels::cuda::Witness witness;
  engine::Model model(engine::ModelSource::open(a.model), std::move(plan),
                      engine::LoadOptions{.deterministic = a.deterministic});
  measure::exercise(model, a.workload);
  verdict.reason = precision::compare(model.plan(), model.ledger());
  const int index = model.plan().device.index;
  verdict.found = measure::compare_with_witness(model.ledger(), witness.seen(),
                                                kernels::cuda::tensor_core_uses(),
                                                kernels::cuda::device(index).capability());
  return verdict;
}

void print_verdict(const Verdict& verdict) {
  fmt::print("{} on {}: {}\n", verdict.recipe, verdict.device, verdict.words());
  if (verdict.found.lines.empty()) return;
  fmt::print("  {:<34} {:>8} {:>8}  {}\n", "what ran", "ledger", "witness",
             "tensor-core instructions, or what differs");
  for (const measure::WitnessLine& line : verdict.found.lines) {
    const std::string made = !line.recorded              ? "not recorded"
                             : line.instructions.empty() ? "none"
                                                         : line.instructions;
    fmt::print("  {:<34} {:>8} {:>8}  {}\n", line.work, line.claimed, line.seen,
               line.problem.empty() ? made : "DIFFERS: " + line.problem);
  }
  fmt::print("  {} launches of other kernels (attention, norms, copies)",
             verdict.found.other_launches);
  if (verdict.found.on_cpu > 0) {
    fmt::print("; {} calls on the CPU, which CUPTI does not see", verdict.found.on_cpu);
  }
  fmt::print("\n");
}

int run(VerifyArguments a) {
  if (!engine::names_cuda(a.device) && a.device != "auto") {
    fail(ErrorCode::usage, "verify asks CUPTI, which sees CUDA devices alone; --device is '{}'",
         a.device);
  }
  static_cast<void>(engine::resolve_device(a.device));
  if (const std::string& why = kernels::cuda::unavailable(); !why.empty()) {
    fail(ErrorCode::device_missing, "{}: {}", a.device, why);
  }
  if (!kernels::cuda::Witness::unavailable().empty()) {
    fail(ErrorCode::unsupported, "no second witness: {}", kernels::cuda::Witness::unavailable());
  }
  a.model = engine::find_model(a.model);
  const auto source = engine::ModelSource::open(a.model);
  Json rows = Json::array();
  bool all = true;
  for (const auto& given : precision::parse_recipe_argument(a.precision)) {
    const Verdict verdict = verify(*source, with_calibration(given, a.calibration), a);
    all = all && verdict.verified();
    if (a.output == "table") {
      print_verdict(verdict);
      continue;
    }
    Json row = verdict.found.to_json();
    row.update({{"recipe", verdict.recipe},
                {"device", verdict.device},
                {"verified", verdict.verified()},
                {"verdict", verdict.words()}});
    rows.push_back(std::move(row));
  }
  if (a.output == "json") {
    fmt::print(
        "{}\n",
        Json{{"model", source->name()}, {"environment", measure::environment()}, {"recipes", rows}}
            .dump(2));
  }
  return all ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand(
      "verify", "Run precisions under CUPTI and hold the ledger against what it saw (CUDA)");
  const auto a = std::make_shared<VerifyArguments>();
  command->add_option("-m,--model", a->model, "folder, file, org/name, or synthetic:SHAPE")
      ->required();
  command->add_option("--precision,--recipe", a->precision, "names, an inline recipe or a file")
      ->capture_default_str();
  command->add_option("--device", a->device, "cuda[:N] or auto")->capture_default_str();
  command->add_option("--calibration", a->calibration, "for recipes that need it and name none");
  command->add_option("-p,--n-prompt", a->workload.prompt, "decoders: prompt tokens")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-n,--n-gen", a->workload.generate, "decoders: generated tokens")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("-b,--batch-size", a->workload.batch, "sequences at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-s,--sequence", a->workload.sequence, "encoders: tokens of a sequence")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--deterministic", a->deterministic, "the kernels that scoring uses");
  command->add_flag("--launches-only", a->launches_only,
                    "do without the record of instructions, where the build has none");
  command->add_option("-o,--output", a->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  command->footer("Example: assay verify -m synthetic:tinyllama-1.1b --precision bf16,int8,nf4");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
