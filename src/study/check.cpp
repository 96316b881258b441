#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/planner.h"
#include "measure/environment.h"
#include "models/transformer.h"
#include "study/study.h"
#include "tasks/task.h"

namespace assay::study {
namespace {

namespace fs = std::filesystem;

constexpr double kGigabyte = 1e9;
/// A store holds rows, samples and answers: megabytes.
constexpr double kStoreBytes = 64e6;

/// Everything that one model's cells need to be checked, opened once.
class Checker {
 public:
  explicit Checker(const Study& study) : study_(study) {}
  CheckResult run();

 private:
  /// The model's source, or null: its problem is reported once, not for each of its cells.
  std::shared_ptr<const engine::ModelSource> source_of(const Cell& cell);
  void check_cell(const Cell& cell);
  void check_file(const std::string& file, const std::string& what);
  void check_task_data(const Json& task);
  void check_workload_data(const Cell& cell);
  void check_memory(const Cell& cell, const engine::ModelSource& source,
                    const precision::Plan& plan);
  void check_store();
  void add(const std::string& problem) {
    sound_ = false;
    if (seen_.insert(problem).second) problems_.push_back(problem);
  }

  const Study& study_;
  std::map<std::string, std::shared_ptr<const engine::ModelSource>> sources_;
  std::set<std::string> seen_;
  std::vector<std::string> problems_;
  bool sound_ = true;  ///< nothing was found since this was last set
};

std::shared_ptr<const engine::ModelSource> Checker::source_of(const Cell& cell) {
  const auto known = sources_.find(cell.model);
  if (known != sources_.end()) return known->second;
  auto& source = sources_[cell.model];
  try {
    source = engine::ModelSource::open(cell.model);
  } catch (const Error& error) {
    add(error.what());
  }
  return source;
}

void Checker::check_file(const std::string& file, const std::string& what) {
  std::error_code error;
  if (fs::is_directory(file, error)) {
    add(fmt::format("{}: {} is a folder, a file is needed", what, file));
  } else if (::access(file.c_str(), R_OK) != 0) {
    add(fmt::format("{}: {} is not there or cannot be read", what, file));
  }
}

/// MMLU is a folder, pre-tokenized data may be one.
void Checker::check_task_data(const Json& task) {
  const auto name = task.at("task").get<std::string>();
  const auto file = task.at("file").get<std::string>();
  std::error_code error;
  const bool folder = fs::is_directory(file, error);
  if (name == "mmlu" && !folder) {
    add(fmt::format("mmlu: {} is no folder; MMLU's holds dev, val and test", file));
  } else if (!folder || (name != "mmlu" && name != "sst2" && name != "fidelity")) {
    check_file(file, name);
  }
}

/// A file, or a folder of files.
void Checker::check_workload_data(const Cell& cell) {
  const auto path = cell.workload.at("data").get<std::string>();
  std::error_code error;
  if (!fs::is_directory(path, error)) check_file(path, cell.id + ": workload data");
}

/// Bytes of the weights as they will lie in the memory of `device`, tied ones once, those of all
/// experts.
double weight_bytes(const precision::Plan& plan, const engine::ModelSource& source,
                    const tensor::Device& device = {}) {
  double bytes = 0;
  std::size_t next = 0;
  for (const models::WeightSpec& spec : source.weights().weights) {
    if (!spec.matrix) continue;
    const auto& entry = plan.entries.at(next++);
    if (entry.device != device) continue;
    bytes += double(engine::layer_bytes(entry.layer, entry.precision, spec.experts));
  }
  return bytes;
}

double largest(const Json& workload, const char* key) {
  double result = 0;
  if (!workload.is_object() || !workload.contains(key)) return result;
  const Json& values = workload.at(key);
  if (!values.is_array()) return values.get<double>();
  for (const Json& value : values) result = std::max(result, value.get<double>());
  return result;
}

double cache_bytes(const Cell& cell, const models::ModelConfig& config, const precision::Plan& plan,
                   const tensor::Device& device = {}) {
  const auto blocks = std::ranges::count(plan.blocks, device);
  if (!config.causal) return 0;
  const double tokens = largest(cell.workload, "depth") + largest(cell.workload, "prompt") +
                        largest(cell.workload, "generate");
  const double batch = std::max(1.0, largest(cell.workload, "batch"));
  return double(blocks * models::kv_position_bytes(config, plan.kv)) * tokens * batch;
}

/// The baseline of a fidelity task is loaded at the same time, in a process of its own.
double baseline_bytes(const Cell& cell, const engine::ModelSource& source) {
  double bytes = 0;
  for (const Json& task : cell.tasks) {
    if (!task.contains("baseline")) continue;
    const Json& baseline = task.at("baseline");
    const auto name = baseline.at("name").get<std::string>();
    const auto recipe = precision::parse_recipe(name, baseline.at("spec"), name);
    const auto plan = engine::make_plan(source, recipe, {.device = cell.device});
    bytes = std::max(bytes, weight_bytes(plan, source));
  }
  return bytes;
}

void Checker::check_memory(const Cell& cell, const engine::ModelSource& source,
                           const precision::Plan& plan) {
  const double weights = weight_bytes(plan, source);
  const double cache = cache_bytes(cell, source.config(), plan);
  const double baseline = baseline_bytes(cell, source);
  for (const tensor::Device& device : plan.devices()) {
    if (device.kind == tensor::DeviceKind::cpu) continue;
    const double needed =
        weight_bytes(plan, source, device) + cache_bytes(cell, source.config(), plan, device);
    const auto there = double(kernels::cuda::device(device.index).memory);
    if (needed < there) continue;
    add(fmt::format("{}: needs about {:.1f} GB of {}, which has {:.1f} GB", cell.id,
                    needed / kGigabyte, tensor::to_string(device), there / kGigabyte));
  }
  const auto available = double(measure::available_memory_bytes());
  if (available < 0 || weights + cache + baseline < available) return;
  add(
      fmt::format("{}: needs about {:.1f} GB of memory (weights {:.1f}, cache {:.1f}, baseline "
                  "{:.1f}), {:.1f} GB are available",
                  cell.id, (weights + cache + baseline) / kGigabyte, weights / kGigabyte,
                  cache / kGigabyte, baseline / kGigabyte, available / kGigabyte));
}

void Checker::check_cell(const Cell& cell) {
  if (cell.workload.is_object() && cell.workload.contains("data")) {
    check_workload_data(cell);
  }
  for (const Json& task : cell.tasks) {
    if (task.contains("file")) check_task_data(task);
  }
  const auto source = source_of(cell);
  if (!source) {
    sound_ = false;  // told with the model's first cell
    return;
  }
  if (const auto reason = tasks::reason_not_scored(*source);
      !cell.tasks.empty() && !reason.empty()) {
    add(fmt::format("{}: {}", cell.id, reason));
  }
  if (cell.workload.is_object() && source->config().causal && cell.workload.contains("sequence")) {
    add(fmt::format("{}: 'sequence' is of encoders; this model is a decoder (prompt, generate)",
                    cell.id));
  }
  try {
    const auto recipe = precision::parse_recipe(cell.recipe_name, cell.recipe, cell.recipe_name);
    const std::string data = recipe.calibration ? recipe.calibration->path() : std::string();
    if (!data.empty() && ::access(data.c_str(), R_OK) != 0) {
      add(fmt::format("{}: calibration data {} is not there or cannot be read", cell.id, data));
    }
    const auto plan =
        engine::make_plan(*source, recipe, {.device = cell.device, .fallback = cell.fallback});
    if (!plan.supported()) add(fmt::format("{}: {}", cell.id, plan.reasons()));
    check_memory(cell, *source, plan);
  } catch (const Error& error) {
    add(fmt::format("{}: {}", cell.id, error.what()));
  }
}

void Checker::check_store() {
  const fs::path store = fs::absolute(study_.store);
  std::error_code error;
  if (!fs::is_directory(store.parent_path(), error)) {
    add(fmt::format("store {}: there is no folder {}", store.string(),
                    store.parent_path().string()));
    return;
  }
  const bool there = fs::exists(store, error);
  if (::access(store.parent_path().c_str(), W_OK) != 0 ||
      (there && ::access(store.c_str(), W_OK) != 0)) {
    add(fmt::format("store {}: it or its folder cannot be written; name another store",
                    store.string()));
    return;
  }
  if (there) {
    try {
      const Store opened(store, true);
    } catch (const Error& problem) {
      add(problem.what());
    }
  }
  struct statvfs disk {};
  if (::statvfs(store.parent_path().c_str(), &disk) != 0) return;
  const double free_bytes = double(disk.f_bavail) * double(disk.f_frsize);
  if (free_bytes < kStoreBytes) {
    add(fmt::format("store {}: {:.0f} MB are free on its disk, {:.0f} MB are needed",
                    store.string(), free_bytes / 1e6, kStoreBytes / 1e6));
  }
}

CheckResult Checker::run() {
  check_store();
  const bool store = sound_;
  bool some = false;
  for (const Cell& cell : study_.cells) {
    sound_ = true;
    check_cell(cell);
    some = some || sound_;
  }
  return {std::move(problems_), store && some};
}

}  // namespace

CheckResult check(const Study& study) { return Checker(study).run(); }

}  // namespace assay::study
