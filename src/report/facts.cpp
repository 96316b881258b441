#include "report/facts.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace assay::report {
namespace {

/// The metric that stands for a task, by the first of these that it has.
constexpr std::array<const char*, 5> kScoreMetrics = {"acc", "acc_norm", "perplexity", "f1",
                                                      "precision"};

std::optional<double> number(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key) || !json.at(key).is_number()) return std::nullopt;
  return json.at(key).get<double>();
}

std::string text(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key) || !json.at(key).is_string()) return {};
  return json.at(key).get<std::string>();
}

bool has(const Json& metrics, const char* name) {
  return metrics.is_object() && metrics.contains(name);
}

Quantity quantity(const Json& metrics, const char* name) {
  Quantity result;
  if (!has(metrics, name)) return result;
  const Json& metric = metrics.at(name);
  result.value = number(metric, "value");
  result.error = number(metric, "stderr");
  if (!result.error) result.error = number(metric, "error");
  result.unit = text(metric, "unit");
  result.reason = text(metric, "reason");
  if (!metric.is_object() || !metric.contains("ci95")) return result;
  const Json& interval = metric.at("ci95");
  if (interval.is_array() && interval.size() == 2 && interval[0].is_number() &&
      interval[1].is_number()) {
    result.low = interval[0].get<double>();
    result.high = interval[1].get<double>();
  }
  return result;
}

/// One over a time; its interval turns around.
Quantity inverse(const Quantity& time) {
  Quantity rate;
  const auto one_over = [](std::optional<double> t) -> std::optional<double> {
    if (!t || *t <= 0) return std::nullopt;
    return 1.0 / *t;
  };
  rate.value = one_over(time.value);
  rate.low = one_over(time.high);
  rate.high = one_over(time.low);
  return rate;
}

void keep(Quantity& slot, const Quantity& found) {
  if (!slot.value && (found.value || slot.reason.empty())) slot = found;
}

std::vector<std::string> texts(const Json& row, const char* key) {
  std::vector<std::string> result;
  for (const Json& one : row.value(key, Json::array())) {
    if (one.is_string()) result.push_back(one.get<std::string>());
  }
  return result;
}

void add_row(CellFacts& facts, const Json& row) {
  const Json metrics = row.value("metrics", Json::object());
  const std::string test = text(row, "test");
  const Quantity energy = quantity(metrics, "energy_net");
  if (has(metrics, "tokens_per_second")) {
    const Quantity rate = quantity(metrics, "tokens_per_second");
    facts.speeds.push_back({test, rate, rate, energy, texts(row, "marks")});
  } else if (has(metrics, "latency")) {
    const Quantity time = quantity(metrics, "latency");
    facts.speeds.push_back({test, time, inverse(time), energy, texts(row, "marks")});
  } else if (test != "fidelity") {
    const auto* name = std::ranges::find_if(kScoreMetrics, [&](auto n) { return has(metrics, n); });
    if (name != kScoreMetrics.end()) {
      facts.scores.push_back({test + " " + *name, quantity(metrics, *name), texts(row, "notes")});
    }
  }
  if (!facts.weight_bytes) facts.weight_bytes = quantity(metrics, "weight_bytes").value;
  keep(facts.kl, quantity(metrics, "kl_divergence"));
  keep(facts.top1, quantity(metrics, "top1_agreement"));
  keep(facts.cosine, quantity(metrics, "cosine"));
  keep(facts.energy, energy);

  const Json proved = row.value("proved", Json());
  if (proved.is_boolean()) facts.proved = facts.proved.value_or(true) && proved.get<bool>();
  facts.fallback = facts.fallback || row.value("fallback", false);
  if (!text(row, "recipe").empty()) facts.recipe = text(row, "recipe");
  if (!text(row, "device").empty()) facts.device = text(row, "device");
}

/// By what the ledger says, not by the recipe's name.
bool ran_plain(const study::StoredCell& cell) {
  bool any = false;
  for (const Json& row : cell.rows) {
    for (const Json& entry : row.value("executed", Json::array())) {
      const auto* encoding = precision::find_encoding(text(entry, "encoding"));
      if (encoding == nullptr || encoding->quantized) return false;
      any = true;
    }
  }
  return any;
}

std::optional<double> sum_of(const Json& bytes) {
  if (!bytes.is_object()) return std::nullopt;
  double sum = 0;
  for (const Json& part : bytes) sum += part.is_number() ? part.get<double>() : 0.0;
  return sum;
}

CellFacts facts_of(const study::StoredCell& cell) {
  CellFacts facts{.cell = &cell};
  const Json plan = cell.plan.is_object() ? cell.plan.value("plan", Json()) : Json();
  facts.recipe = text(plan, "recipe");
  if (facts.recipe.empty()) facts.recipe = text(cell.cell, "recipe_name");
  facts.device = text(plan, "device");
  if (facts.device.empty()) facts.device = text(cell.cell, "device");
  for (const Json& row : cell.rows) add_row(facts, row);
  if (!facts.weight_bytes && cell.plan.is_object()) {
    facts.weight_bytes = sum_of(cell.plan.value("weight_bytes", Json()));
  }
  facts.plain = ran_plain(cell);
  return facts;
}

/// What is known of the model from the first cell that got as far as its plan.
void describe(ModelFacts& model, const study::StoredCell& cell) {
  if (!cell.plan.is_object() || model.parameters) return;
  const Json plan = cell.plan.value("plan", Json());
  if (!text(cell.plan, "model").empty()) model.name = text(cell.plan, "model");
  model.parameters = number(cell.plan, "parameters");
  model.source = text(plan, "source");
  model.source_quantized = plan.is_object() && plan.value("source_quantized", false);
}

std::string path_name(const std::string& path) {
  const std::filesystem::path file(path);
  return (file.has_filename() ? file.filename() : file.parent_path().filename()).string();
}

}  // namespace

const Speed* CellFacts::speed(const std::string& test) const {
  const auto found = std::ranges::find(speeds, test, &Speed::test);
  return found == speeds.end() ? nullptr : &*found;
}

bool CellFacts::has(const std::string& test) const {
  return std::ranges::any_of(cell->rows,
                             [&](const Json& row) { return text(row, "test") == test; });
}

const CellFacts* ModelFacts::baseline_of(const CellFacts& cell, const std::string& test) const {
  const std::string named = text(cell.cell->cell, "baseline");
  const CellFacts* elsewhere = nullptr;
  for (const CellFacts& other : cells) {
    const bool fits = named.empty() ? other.plain : text(other.cell->cell, "recipe_name") == named;
    if (!fits || !other.ok() || other.fallback) continue;
    if (!test.empty() && !other.has(test)) continue;
    if (other.device == cell.device) return &other;
    if (elsewhere == nullptr) elsewhere = &other;
  }
  return elsewhere;
}

std::string ModelFacts::headline_test() const {
  std::string first;
  for (const CellFacts& cell : cells) {
    for (const Speed& speed : cell.speeds) {
      if (speed.test.find("tg") != std::string::npos) return speed.test;
      if (first.empty()) first = speed.test;
    }
  }
  return first;
}

Comparison compare(const CellFacts& cell, const CellFacts& baseline, const std::string& test) {
  Comparison result;
  if (cell.weight_bytes && baseline.weight_bytes && *cell.weight_bytes > 0) {
    result.smaller = *baseline.weight_bytes / *cell.weight_bytes;
  }
  const Speed* own = cell.speed(test);
  const Speed* other = baseline.speed(test);
  if (own == nullptr || other == nullptr) return result;
  const Quantity& a = own->rate;
  const Quantity& b = other->rate;
  if (!a.value || !b.value || *b.value <= 0) return result;
  result.speedup = *a.value / *b.value;
  result.within_noise =
      a.low && a.high && b.low && b.high && *a.low <= *b.high && *b.low <= *a.high;
  return result;
}

std::vector<ModelFacts> gather(const std::vector<study::StoredCell>& cells) {
  std::vector<ModelFacts> models;
  std::vector<std::string> paths;
  for (const auto& cell : cells) {
    const std::string path = text(cell.cell, "model");
    auto at = std::ranges::find(paths, path) - paths.begin();
    if (at == std::ssize(paths)) {
      paths.push_back(path);
      models.push_back({.name = path_name(path)});
    }
    models[static_cast<std::size_t>(at)].cells.push_back(facts_of(cell));
    describe(models[static_cast<std::size_t>(at)], cell);
  }
  return models;
}

}  // namespace assay::report
