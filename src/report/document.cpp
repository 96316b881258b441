#include <algorithm>

#include "report/report.h"
#include "study/build_info.h"

namespace assay::report {
namespace {

/// What two runs must share for their speeds to compare.
Json identity(const Json& environment) {
  Json result = Json::object();
  for (const char* key : {"cpu", "isa", "source_hash"}) {
    result[key] = environment.value(key, Json());
  }
  return result;
}

/// The name that other cells of the same model found out, for one that failed before it could.
Json model_name(const std::vector<study::StoredCell>& cells, const study::StoredCell& cell) {
  Json path = cell.cell.value("model", Json());
  for (const auto& other : cells) {
    if (!other.plan.is_object() || !other.plan.contains("model")) continue;
    if (other.cell.value("model", Json()) == path) return other.plan.at("model");
  }
  return path;
}

/// A row that says how the cell ended; for cells whose own rows do not.
Json closing_row(const study::StoredCell& cell, const Json& model) {
  const Json plan = cell.plan.is_object() ? cell.plan.value("plan", Json()) : Json();
  const auto of = [](const Json& json, const char* key) {
    return json.is_object() ? json.value(key, Json()) : Json();
  };
  const Json recipe = of(plan, "recipe");
  const Json device = of(plan, "device");
  return {{"model", model},
          {"source", of(plan, "source")},
          {"recipe", recipe.is_null() ? of(cell.cell, "recipe_name") : recipe},
          {"device", device.is_null() ? of(cell.cell, "device") : device},
          {"status", cell.status},
          {"reason", cell.reason},
          {"proved", nullptr},
          {"fallback", of(cell.cell, "fallback") == true},
          {"test", nullptr},
          {"metrics", Json::object()},
          {"executed", Json::array()},
          {"samples", Json::array()}};
}

void add_rows(Json& rows, const study::StoredCell& cell, const Json& model) {
  for (const Json& row : cell.rows) rows.push_back(row);
  const bool said = std::ranges::any_of(
      cell.rows, [&](const Json& row) { return row.value("status", "") == cell.status; });
  if (!said) rows.push_back(closing_row(cell, model));
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Json document(const std::vector<study::StoredCell>& cells, const ItemSource& items) {
  Json result = {
      {"assay", study::kVersion}, {"environment", Json::object()}, {"rows", Json::array()}};
  Json identities = Json::array();
  Json environments = Json::array();
  for (const auto& cell : cells) {
    add_rows(result["rows"], cell, model_name(cells, cell));
    if (!cell.environment.is_object()) continue;
    result["environment"] = cell.environment;
    const Json own = identity(cell.environment);
    if (std::ranges::find(identities, own) != identities.end()) continue;
    identities.push_back(own);
    environments.push_back(cell.environment);
  }
  // More than one machine or build: their speeds do not compare, so all are named.
  if (environments.size() > 1) result["environments"] = environments;
  if (items) result["comparisons"] = comparisons(gather(cells), items);
  return result;
}

std::string json(const std::vector<study::StoredCell>& cells, const ItemSource& items) {
  return dump(document(cells, items), 2);
}

std::string jsonl(const std::vector<study::StoredCell>& cells) {
  std::string lines;
  const Json all = document(cells);
  for (const Json& row : all["rows"]) lines += dump(row, -1);
  return lines;
}

}  // namespace assay::report
