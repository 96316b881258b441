#include <optional>

#include "base/hash.h"
#include "base/thread_pool.h"
#include "engine/planner.h"
#include "files/tensor_file.h"
#include "kernels/cpu/isa.h"
#include "study/build_info.h"
#include "study/cell.h"
#include "tasks/data_files.h"

namespace assay::study {
namespace {

/// A recipe as it will run: two spellings of one recipe are equal, and `auto` is what the device
/// makes of it.
Json resolved_recipe(const std::string& name, const Json& spec,
                     const std::optional<tensor::Device>& device,
                     const base::ProgressSink& progress) {
  const auto recipe = precision::parse_recipe(name, spec, "recipe '" + name + "'");
  Json result = {{"recipe", recipe.canonical()}};
  if (recipe.calibration && recipe.needs_calibration() && !recipe.calibration->path().empty()) {
    result["calibration"] = content_identity(recipe.calibration->path(), progress);
  }
  if (device) {
    const auto type = recipe.sixteen_bit.value_or(engine::sixteen_bit_type(*device));
    result["sixteen_bit"] = tensor::name_of(type);
  }
  return result;
}

Json workload_identity(Json workload, const base::ProgressSink& progress) {
  if (workload.is_object() && workload.contains("data")) {
    workload["data"] = content_identity(workload["data"].get<std::string>(), progress);
  }
  return workload;
}

Json task_identity(const Json& task, const std::optional<tensor::Device>& device,
                   const base::ProgressSink& progress) {
  Json identity = task;
  if (task.contains("file")) {
    identity["file"] = content_identity(task.at("file").get<std::string>(), progress);
  }
  if (identity.contains("baseline")) {
    const Json& baseline = task["baseline"];
    identity["baseline"] = resolved_recipe(baseline.at("name").get<std::string>(),
                                           baseline.at("spec"), device, progress);
  }
  return identity;
}

}  // namespace

Json content_identity(const std::string& path, const base::ProgressSink& progress) {
  const auto files = tasks::data_files(path);
  if (files.size() == 1) return files::content_hash(files.front(), progress);
  Json list = Json::array();
  for (const auto& file : files) {
    list.push_back({file.filename().string(), files::content_hash(file, progress)});
  }
  return list;
}

std::string cell_key(const Cell& cell, const base::ProgressSink& progress) {
  std::optional<tensor::Device> device;
  try {
    device = engine::resolve_device(cell.device);
  } catch (const Error& error) {
    // A device that is missing today is a result too (`unsupported`), under a key of its own.
    if (error.code() != ErrorCode::device_missing) throw;
  }
  Json tasks = Json::array();
  for (const Json& task : cell.tasks) tasks.push_back(task_identity(task, device, progress));
  const Json identity = {
      {"model", engine::content_hash(cell.model, progress)},
      {"recipe", resolved_recipe(cell.recipe_name, cell.recipe, device, progress)},
      {"device", device ? engine::device_identity(cell.device) : Json("missing " + cell.device)},
      {"cpu", kernels::cpu::cpu_features().name},
      {"isa", kernels::cpu::name_of(kernels::cpu::active_isa())},
      {"threads", cell.threads > 0 ? cell.threads : base::available_threads()},
      {"fallback", cell.fallback},
      {"workload", workload_identity(cell.workload, progress)},
      {"tasks", tasks},
      {"sources", kSourceHash}};
  return base::sha256_hex(identity.dump());
}

}  // namespace assay::study
