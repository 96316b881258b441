#include "study/cell.h"

namespace assay::study {
namespace {

template <typename T>
T field(const Json& json, const char* key) {
  try {
    return json.at(key).get<T>();
  } catch (const Json::exception&) {
    fail(ErrorCode::bad_data, "a cell's description has no usable '{}'", key);
  }
}

}  // namespace

Json Cell::to_json() const {
  Json json = {{"id", id},           {"model", model},       {"recipe_name", recipe_name},
               {"recipe", recipe},   {"baseline", baseline}, {"device", device},
               {"threads", threads}, {"fallback", fallback}, {"workload", workload},
               {"tasks", tasks}};
  if (!resume.is_null()) json["resume"] = resume;
  return json;
}

Cell Cell::from_json(const Json& json) {
  Cell cell;
  cell.id = field<std::string>(json, "id");
  cell.model = field<std::string>(json, "model");
  cell.recipe_name = field<std::string>(json, "recipe_name");
  cell.recipe = field<Json>(json, "recipe");
  cell.baseline = field<std::string>(json, "baseline");
  cell.device = field<std::string>(json, "device");
  cell.threads = field<int>(json, "threads");
  cell.fallback = field<bool>(json, "fallback");
  cell.workload = field<Json>(json, "workload");
  cell.tasks = field<Json>(json, "tasks");
  cell.resume = json.value("resume", Json());
  if (!cell.tasks.is_array()) fail(ErrorCode::bad_data, "a cell's 'tasks' is no array");
  return cell;
}

}  // namespace assay::study
