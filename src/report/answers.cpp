#include "report/answers.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "report/words.h"
#include "stats/paired.h"

namespace assay::report {
namespace {

constexpr double kLevel = 0.05;
constexpr int kResamples = 5000;
constexpr std::uint64_t kSeed = 1;

/// What an accuracy metric is read from in an answer.
struct Reading {
  const char* metric;
  const char* field;
};
constexpr Reading kReadings[] = {{"acc", "predicted"}, {"acc_norm", "predicted_norm"}};

const Json* row_of(const CellFacts& cell, const std::string& test) {
  for (const Json& row : cell.cell->rows) {
    if (row.value("test", Json()) == test) return &row;
  }
  return nullptr;
}

/// The interval of the score holds what guessing gives.
bool holds_chance(const Json& metric) {
  if (!metric.contains("chance") || !metric.contains("ci95")) return false;
  const double chance = metric.at("chance").get<double>();
  return metric.at("ci95")[0].get<double>() <= chance &&
         chance <= metric.at("ci95")[1].get<double>();
}

/// Why two lists of answers are not of the same items; empty if they are.
std::string mismatch(const Json& ours, const Json& theirs) {
  if (ours.empty() || theirs.empty()) return "its answers are not in the store";
  if (ours.size() != theirs.size()) return "not the same items as its baseline";
  for (std::size_t i = 0; i < ours.size(); ++i) {
    for (const char* key : {"i", "gold", "text"}) {
      if (ours[i].value(key, Json()) != theirs[i].value(key, Json())) {
        return "not the same items as its baseline";
      }
    }
  }
  return {};
}

void count_pairs(PairedAccuracy& pair, const Json& ours, const Json& theirs, const char* field) {
  std::vector<double> differences;
  std::int64_t right = 0;
  std::int64_t base_right = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const int own = ours[i].at(field) == ours[i].at("gold") ? 1 : 0;
    const int base = theirs[i].at(field) == theirs[i].at("gold") ? 1 : 0;
    right += own;
    base_right += base;
    pair.lost += base > own ? 1 : 0;
    pair.gained += own > base ? 1 : 0;
    differences.push_back(own - base);
  }
  const auto n = static_cast<double>(ours.size());
  pair.items = std::ssize(differences);
  pair.share = static_cast<double>(right) / n;
  pair.baseline_share = static_cast<double>(base_right) / n;
  pair.interval = stats::bootstrap_mean_interval(differences, 1 - kLevel, kResamples, kSeed);
  pair.p = stats::mcnemar_exact(pair.lost, pair.gained);
  pair.detectable = stats::smallest_detectable_difference(
      pair.items, static_cast<double>(pair.lost + pair.gained) / n, kLevel);
}

/// The recipes that meet one baseline in one metric are one family of tests.
void correct_family(std::vector<PairedAccuracy>& pairs) {
  std::map<std::tuple<std::string, std::string, const CellFacts*>, std::vector<PairedAccuracy*>>
      families;
  for (PairedAccuracy& pair : pairs) {
    if (pair.problem.empty()) families[{pair.test, pair.metric, pair.baseline}].push_back(&pair);
  }
  for (auto& [name, family] : families) {
    std::vector<double> p_values;
    for (const PairedAccuracy* pair : family) p_values.push_back(pair->p);
    const auto corrected = stats::holm(p_values);
    for (std::size_t i = 0; i < family.size(); ++i) family[i]->p_holm = corrected[i];
  }
}

std::vector<std::string> scored_tests(const ModelFacts& model) {
  std::vector<std::string> tests;
  for (const CellFacts& cell : model.cells) {
    for (const Json& row : cell.cell->rows) {
      if (!row.value("test", Json()).is_string()) continue;
      const auto test = row.at("test").get<std::string>();
      if (std::ranges::find(tests, test) == tests.end()) tests.push_back(test);
    }
  }
  return tests;
}

std::string grouped(std::int64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string name_of(const CellFacts& cell) {
  return cell.cell->cell.value("recipe_name", cell.recipe);
}

void compare_test(const ModelFacts& model, const CellFacts& cell, const std::string& test,
                  const ItemSource& items, std::vector<PairedAccuracy>& pairs) {
  const CellFacts* baseline = model.baseline_of(cell, test);
  const Json* row = row_of(cell, test);
  if (baseline == nullptr || baseline == &cell || row == nullptr || !cell.ok()) return;
  const Json* base_row = row_of(*baseline, test);
  if (base_row == nullptr) return;
  const Json& metrics = row->at("metrics");
  const Json& base_metrics = base_row->at("metrics");
  Json ours;
  Json theirs;
  for (const Reading& reading : kReadings) {
    if (!metrics.contains(reading.metric) || !base_metrics.contains(reading.metric)) continue;
    PairedAccuracy pair{
        .cell = &cell, .baseline = baseline, .test = test, .metric = reading.metric};
    if (ours.is_null()) {
      ours = items(cell.cell->key, test);
      theirs = items(baseline->cell->key, test);
    }
    pair.problem = mismatch(ours, theirs);
    if (pair.problem.empty()) {
      pair.at_chance =
          holds_chance(metrics.at(reading.metric)) || holds_chance(base_metrics.at(reading.metric));
      count_pairs(pair, ours, theirs, reading.field);
    }
    pairs.push_back(std::move(pair));
  }
}

}  // namespace

std::vector<PairedAccuracy> paired_accuracies(const ModelFacts& model, const ItemSource& items) {
  std::vector<PairedAccuracy> pairs;
  if (!items) return pairs;
  for (const std::string& test : scored_tests(model)) {
    for (const CellFacts& cell : model.cells) compare_test(model, cell, test, items, pairs);
  }
  correct_family(pairs);
  return pairs;
}

std::vector<PairedPerplexity> paired_perplexities(const ModelFacts& model,
                                                  const ItemSource& items) {
  std::vector<PairedPerplexity> pairs;
  if (!items) return pairs;
  for (const CellFacts& cell : model.cells) {
    const CellFacts* baseline = model.baseline_of(cell, "perplexity");
    if (baseline == nullptr || baseline == &cell || !cell.ok()) continue;
    const Json ours = items(cell.cell->key, "perplexity");
    const Json theirs = items(baseline->cell->key, "perplexity");
    if (ours.empty() || ours.size() != theirs.size()) continue;
    std::vector<double> differences;
    std::vector<double> weights;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const double tokens = ours[i].value("tokens", 0.0);
      if (tokens <= 0 || ours[i].value("begin", Json()) != theirs[i].value("begin", Json()) ||
          tokens != theirs[i].value("tokens", 0.0)) {
        break;
      }
      weights.push_back(ours[i].value("weight", tokens));
      differences.push_back((ours[i].value("nll", 0.0) - theirs[i].value("nll", 0.0)) / tokens *
                            weights.back());
    }
    if (differences.size() != ours.size()) continue;
    double sum = 0.0;
    double weight = 0.0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      sum += differences[i];
      weight += weights[i];
    }
    const auto interval =
        stats::bootstrap_ratio_interval(differences, weights, 1 - kLevel, kResamples, kSeed);
    pairs.push_back({.cell = &cell,
                     .baseline = baseline,
                     .windows = std::ssize(weights),
                     .ratio = std::exp(sum / weight),
                     .interval = {std::exp(interval.low), std::exp(interval.high)}});
  }
  return pairs;
}

std::string in_words(const PairedAccuracy& pair) {
  if (!pair.problem.empty()) return pair.problem;
  if (pair.at_chance) return "at chance: cannot rank precisions";
  const double points = 100 * pair.difference();
  if (pair.p_holm < kLevel) {
    const bool worse = points < 0;
    const double near = 100 * (worse ? -pair.interval.high : pair.interval.low);
    const double far = 100 * (worse ? -pair.interval.low : pair.interval.high);
    return fmt::format("{} by {:.1f} points ({:.1f} to {:.1f})", worse ? "worse" : "better",
                       std::abs(points), near, far);
  }
  return fmt::format(
      "not distinguishable from {} at n = {} (a difference under {:.1f} points could not have been "
      "seen)",
      name_of(*pair.baseline), grouped(pair.items), 100 * pair.detectable);
}

std::string in_words(const PairedPerplexity& pair) {
  const double percent = 100 * (pair.ratio - 1);
  const double low = 100 * (pair.interval.low - 1);
  const double high = 100 * (pair.interval.high - 1);
  if (pair.windows < 2 || (low <= 0 && high >= 0)) {
    return fmt::format(
        "perplexity not distinguishable from {} on {} windows ({:+.2f} to {:+.2f} %)",
        name_of(*pair.baseline), grouped(pair.windows), low, high);
  }
  const bool worse = percent > 0;
  return fmt::format("perplexity {} by {:.2f} % ({:.2f} to {:.2f})", worse ? "higher" : "lower",
                     std::abs(percent), std::abs(worse ? low : high), std::abs(worse ? high : low));
}

Json comparisons(const std::vector<ModelFacts>& models, const ItemSource& items) {
  Json rows = Json::array();
  for (const ModelFacts& model : models) {
    for (const PairedAccuracy& pair : paired_accuracies(model, items)) {
      Json row = {{"model", model.name},
                  {"recipe", name_of(*pair.cell)},
                  {"baseline", name_of(*pair.baseline)},
                  {"device", pair.cell->device},
                  {"test", pair.test},
                  {"metric", pair.metric},
                  {"words", in_words(pair)}};
      if (pair.problem.empty()) {
        row.update({{"n", pair.items},
                    {"difference", pair.difference()},
                    {"ci95", {pair.interval.low, pair.interval.high}},
                    {"lost", pair.lost},
                    {"gained", pair.gained},
                    {"p_mcnemar", pair.p},
                    {"p_holm", pair.p_holm},
                    {"smallest_detectable_difference", pair.detectable},
                    {"at_chance", pair.at_chance}});
      }
      rows.push_back(std::move(row));
    }
    for (const PairedPerplexity& pair : paired_perplexities(model, items)) {
      rows.push_back({{"model", model.name},
                      {"recipe", name_of(*pair.cell)},
                      {"baseline", name_of(*pair.baseline)},
                      {"device", pair.cell->device},
                      {"test", "perplexity"},
                      {"metric", "perplexity"},
                      {"n", pair.windows},
                      {"ratio", pair.ratio},
                      {"ci95", {pair.interval.low, pair.interval.high}},
                      {"words", in_words(pair)}});
    }
  }
  return rows;
}

}  // namespace assay::report
