#include "engine/doctor.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "engine/planner.h"
#include "measure/environment.h"

namespace assay::cli {
namespace {

struct DoctorArguments {
  std::string device;
  std::string output = "table";
};

std::vector<engine::Diagnosis> diagnose(const std::string& device) {
  std::vector<engine::Diagnosis> rows;
  if (device.empty() || device == "auto" || device == "cpu") rows = engine::diagnose_cpu();
  if (device == "cpu") return rows;
  std::vector<int> indices;
  for (const auto& there : kernels::cuda::devices()) indices.push_back(there.index);
  if (device.starts_with("cuda:")) {
    indices = {engine::resolve_device(device).index};
  } else if (indices.empty() || device == "cuda") {
    indices.resize(1);  // the first, or the reason why there is none
  }
  for (const int index : indices) {
    for (auto& row : engine::diagnose_cuda(index)) rows.push_back(std::move(row));
  }
  return rows;
}

void print_table(const std::vector<engine::Diagnosis>& rows) {
  fmt::print("{}\n{:<8} {:<20} {:<6} {:<10} {}\n", measure::environment()["cpu"].get<std::string>(),
             "device", "precision", "works", "error", "kernel, or why not");
  for (const auto& row : rows) {
    const std::string error = row.kernel.empty() ? "-" : fmt::format("{:.1e}", row.error);
    const std::string why = row.works ? fmt::format("{} ({})", row.kernel, row.path) : row.reason;
    fmt::print("{:<8} {:<20} {:<6} {:<10} {}\n", row.device, row.precision,
               row.works ? "yes" : "no", error, why);
  }
}

void print_json(const std::vector<engine::Diagnosis>& rows) {
  Json all = {{"environment", measure::environment()}, {"precisions", Json::array()}};
  for (const auto& row : rows) {
    all["precisions"].push_back({{"device", row.device},
                                 {"precision", row.precision},
                                 {"works", row.works},
                                 {"kernel", row.kernel},
                                 {"path", row.path},
                                 {"error", row.error},
                                 {"tolerance", row.tolerance},
                                 {"reason", row.reason}});
  }
  fmt::print("{}\n", all.dump(2));
}

int run(const DoctorArguments& arguments) {
  const std::string& device = arguments.device;
  if (!device.empty() && !engine::names_cuda(device)) {
    static_cast<void>(engine::resolve_device(device));
  }
  const auto rows = diagnose(arguments.device);
  if (arguments.output == "json") {
    print_json(rows);
  } else {
    print_table(rows);
  }
  const bool any = std::ranges::any_of(rows, &engine::Diagnosis::works);
  return any ? 0 : exit_code(ErrorCode::device_missing);
}

}  // namespace

void add_doctor(CLI::App& program, Outcome& outcome) {
  auto* command =
      program.add_subcommand("doctor", "Try every precision on every device and say what works");
  const auto arguments = std::make_shared<DoctorArguments>();
  command->add_option("--device", arguments->device, "cpu or cuda[:N]; both if not given");
  command->add_option("-o,--output", arguments->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  command->footer("Example: assay doctor --device cpu");
  command->callback([arguments, &outcome] { outcome.exit_code = run(*arguments); });
}

}  // namespace assay::cli
