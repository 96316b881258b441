#include "study/merge_rounds.h"

#include <algorithm>

#include "measure/bench.h"

namespace assay::study {
namespace {

Json part(const Json& json, const char* key) {
  return json.is_object() && json.contains(key) ? json.at(key) : Json();
}

/// `metric` of each row; empty when a row lacks it.
std::vector<Json> in_all(const std::vector<const Json*>& rows, const std::string& name) {
  std::vector<Json> found;
  for (const Json* row : rows) {
    const Json metric = part(part(*row, "metrics"), name.c_str());
    if (!metric.is_object()) return {};
    found.push_back(metric);
  }
  return found;
}

Json values_of(const std::vector<Json>& metrics) {
  Json values = Json::array();
  for (const Json& metric : metrics) values.push_back(part(metric, "value"));
  return values;
}

/// From all samples anew, by the metric's own unit.
Json merged_time(const std::vector<Json>& metrics, const std::vector<double>& samples) {
  const auto unit = metrics.front().at("unit").get<std::string>();
  const auto per = metrics.front().at("per_iteration").get<double>();
  const measure::Timing timing{.seconds = samples};
  Json merged = unit.ends_with("/s") ? timing.rate(per, unit) : timing.latency(per, unit);
  merged["rounds"] = values_of(metrics);
  return merged;
}

/// Joules of all rounds over the iterations of all rounds; its error likewise.
Json merged_energy(const std::vector<Json>& metrics) {
  Json merged = metrics.front();
  double iterations = 0.0;
  double seconds = 0.0;
  for (const Json& metric : metrics) {
    iterations += metric.at("iterations").get<double>();
    seconds += metric.at("seconds").get<double>();
  }
  const auto mean = [&](const char* field, const char* weight, double sum) {
    double total = 0.0;
    for (const Json& metric : metrics) {
      total += metric.at(field).get<double>() * metric.at(weight).get<double>();
    }
    return total / sum;
  };
  merged["value"] = mean("value", "iterations", iterations);
  merged["error"] = mean("error", "iterations", iterations);
  merged["watts"] = mean("watts", "seconds", seconds);
  if (merged.contains("idle_watts")) merged["idle_watts"] = mean("idle_watts", "seconds", seconds);
  merged["iterations"] = iterations;
  merged["seconds"] = seconds;
  merged["rounds"] = values_of(metrics);
  merged["windows"] = Json::array();
  int steps = 0;
  for (const Json& metric : metrics) {
    steps += metric.at("steps").get<int>();
    for (const Json& window : metric.at("windows")) merged["windows"].push_back(window);
  }
  merged["steps"] = steps;
  return merged;
}

Json merged_metric(const std::vector<Json>& metrics, const std::vector<double>& samples) {
  // What one round could not tell, all together cannot.
  for (const Json& metric : metrics) {
    if (!part(metric, "value").is_number()) return metric;
  }
  if (metrics.front().contains("per_iteration") && !samples.empty()) {
    return merged_time(metrics, samples);
  }
  if (metrics.front().contains("windows")) return merged_energy(metrics);
  return *std::ranges::max_element(
      metrics, {}, [](const Json& metric) { return metric.at("value").get<double>(); });
}

void add_once(Json& list, const Json& values) {
  if (!values.is_array()) return;
  if (!list.is_array()) list = Json::array();
  for (const Json& value : values) {
    if (std::ranges::find(list, value) == list.end()) list.push_back(value);
  }
}

/// The same kernels on the same layers are one entry; what was counted of them is added.
void add_executed(Json& executed, const Json& more) {
  const auto identity = [](Json entry) {
    for (const char* count : {"calls", "rows_min", "rows_max", "outlier_columns"}) {
      entry.erase(count);
    }
    return entry;
  };
  for (const Json& entry : more) {
    const auto same = std::ranges::find(executed, identity(entry), identity);
    if (same == executed.end()) {
      executed.push_back(entry);
      continue;
    }
    for (const char* count : {"calls", "outlier_columns"}) {
      if (!same->contains(count) || !entry.contains(count)) continue;
      (*same)[count] = same->at(count).get<std::int64_t>() + entry.at(count).get<std::int64_t>();
    }
    if (!same->contains("rows_min") || !entry.contains("rows_min")) continue;
    (*same)["rows_min"] = std::min(same->at("rows_min"), entry.at("rows_min"));
    (*same)["rows_max"] = std::max(same->at("rows_max"), entry.at("rows_max"));
  }
}

void add_iterations(Json& sum, const Json& more) {
  if (!sum.is_object() || !more.is_object()) return;
  for (const char* count : {"asked", "ran", "warmup", "checked"}) {
    sum[count] = sum.value(count, 0) + more.value(count, 0);
  }
  sum["steady"] = sum.value("steady", false) && more.value("steady", false);
}

void add_round(Json& sum, const Json& row) {
  for (const Json& sample : row.value("samples", Json::array())) sum["samples"].push_back(sample);
  for (const char* list : {"notes", "marks"}) {
    if (row.contains(list)) add_once(sum[list], row.at(list));
  }
  if (part(row, "conditions").is_array()) {
    for (const Json& condition : row.at("conditions")) sum["conditions"].push_back(condition);
  }
  add_executed(sum["executed"], row.value("executed", Json::array()));
  add_iterations(sum["iterations"], part(row, "iterations"));
  if (sum.value("status", "") == "ok") {
    sum["status"] = row.at("status");
    sum["reason"] = row.value("reason", "");
  }
  const Json proved = part(row, "proved");
  if (proved != Json(true) && part(sum, "proved") != Json(false)) sum["proved"] = proved;
}

Json merged_row(const std::vector<const Json*>& rows) {
  Json sum = *rows.front();
  if (rows.size() == 1) return sum;
  for (const char* list : {"samples", "executed"}) {
    if (!sum.contains(list)) sum[list] = Json::array();
  }
  for (std::size_t i = 1; i < rows.size(); ++i) add_round(sum, *rows[i]);
  sum["rounds"] = rows.size();
  const auto samples = sum.at("samples").get<std::vector<double>>();
  const Json names = rows.front()->value("metrics", Json::object());
  for (const auto& [name, unused] : names.items()) {
    const auto metrics = in_all(rows, name);
    if (!metrics.empty()) sum["metrics"][name] = merged_metric(metrics, samples);
  }
  return sum;
}

}  // namespace

std::vector<Json> merge_rounds(const std::vector<Json>& rows) {
  std::vector<std::string> tests;
  std::vector<std::vector<const Json*>> groups;
  for (const Json& row : rows) {
    const std::string test = row.value("test", "");
    const auto at = std::ranges::find(tests, test) - tests.begin();
    if (at == std::ssize(tests)) {
      tests.push_back(test);
      groups.emplace_back();
    }
    groups[static_cast<std::size_t>(at)].push_back(&row);
  }
  std::vector<Json> merged;
  merged.reserve(groups.size());
  for (const auto& group : groups) merged.push_back(merged_row(group));
  return merged;
}

}  // namespace assay::study
