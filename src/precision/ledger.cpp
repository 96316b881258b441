#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "precision/plan.h"

namespace assay::precision {
namespace {

/// What two identities differ in: "kernel a instead of b".
std::string difference(const KernelIdentity& planned, const KernelIdentity& ran) {
  const Json a = to_json(planned);
  const Json b = to_json(ran);
  std::string text;
  for (const auto& [key, value] : b.items()) {
    if (a.at(key) == value) continue;
    text += fmt::format("{}{} {} instead of {}", text.empty() ? "" : ", ", key,
                        value.get<std::string>(), a.at(key).get<std::string>());
  }
  return text;
}

/// "model.layers.7.mlp.down_proj" -> "model.layers.*.mlp.down_proj".
std::string pattern_of(const std::string& name) {
  std::string pattern;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t dot = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, dot - begin);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    pattern += (begin == 0 ? "" : ".") + (number ? "*" : part);
    begin = dot + 1;
  }
  return pattern;
}

/// Ledger entries of one pattern that one kernel ran.
struct Fold {
  std::string pattern;
  Ledger::Entry sum;
  std::int64_t layers = 0;
};

void add(Fold& fold, const Ledger::Entry& entry) {
  fold.sum.calls += entry.calls;
  fold.sum.rows_min = std::min(fold.sum.rows_min, entry.rows_min);
  fold.sum.rows_max = std::max(fold.sum.rows_max, entry.rows_max);
  fold.sum.outlier_columns += entry.outlier_columns;
  ++fold.layers;
}

void add_counts(Json& json, const Ledger::Entry& entry) {
  json["calls"] = entry.calls;
  json["rows_min"] = entry.rows_min;
  json["rows_max"] = entry.rows_max;
  if (entry.kernel.activation == Activation::int8_dynamic) {
    json["outlier_columns"] = entry.outlier_columns;
  }
}

}  // namespace

int Ledger::add_layer(const std::string& name) {
  const auto found = std::find(layers_.begin(), layers_.end(), name);
  if (found != layers_.end()) return static_cast<int>(found - layers_.begin());
  layers_.push_back(name);
  first_.push_back(-1);
  return static_cast<int>(layers_.size()) - 1;
}

void Ledger::record(int layer, const KernelIdentity& kernel, std::int64_t rows,
                    std::int64_t outlier_columns) {
  const auto index = static_cast<std::size_t>(layer);
  if (layer < 0 || index >= layers_.size()) {
    fail(ErrorCode::internal, "a kernel ran for a layer that the ledger does not know");
  }
  if (captured_) {
    captured_->push_back({layer, kernel, rows});
    return;
  }
  const std::string& name = layers_[index];
  Entry* entry = nullptr;
  if (first_[index] >= 0) {
    // Another kernel for the same layer is an entry of its own, behind the first.
    for (auto i = static_cast<std::size_t>(first_[index]); i < entries_.size(); ++i) {
      if (entries_[i].kernel == kernel && entries_[i].layer == name) {
        entry = &entries_[i];
        break;
      }
    }
  }
  if (entry == nullptr) {
    if (first_[index] < 0) first_[index] = static_cast<int>(entries_.size());
    entry = &entries_.emplace_back(Entry{name, kernel, 0, rows, rows, 0});
  }
  ++entry->calls;
  entry->rows_min = std::min(entry->rows_min, rows);
  entry->rows_max = std::max(entry->rows_max, rows);
  entry->outlier_columns += outlier_columns;
}

void Ledger::add_outlier_columns(int layer, std::int64_t columns) {
  const auto index = static_cast<std::size_t>(layer);
  if (layer < 0 || index >= layers_.size() || first_[index] < 0) {
    fail(ErrorCode::internal, "outlier columns of a layer that never ran");
  }
  for (auto i = static_cast<std::size_t>(first_[index]); i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.layer != layers_[index] || entry.kernel.activation != Activation::int8_dynamic)
      continue;
    entry.outlier_columns += columns;
    return;
  }
  fail(ErrorCode::internal, "{}: outlier columns without a kernel that looks for them",
       layers_[index]);
}

void Ledger::begin_capture() {
  if (captured_) fail(ErrorCode::internal, "a graph is captured while another one is");
  captured_.emplace();
}

std::vector<Ledger::Call> Ledger::end_capture() {
  std::vector<Call> calls = std::move(captured_).value();
  captured_.reset();
  return calls;
}

void Ledger::replay(const std::vector<Call>& calls) {
  for (const Call& call : calls) record(call.layer, call.kernel, call.rows);
}

void Ledger::clear() {
  entries_.clear();
  std::fill(first_.begin(), first_.end(), -1);
}

Json Ledger::to_json() const {
  Json json = Json::array();
  for (const Entry& entry : entries_) {
    Json row = precision::to_json(entry.kernel);
    row["layer"] = entry.layer;
    add_counts(row, entry);
    json.push_back(std::move(row));
  }
  return json;
}

std::string compare(const Plan& plan, const Ledger& ledger) {
  constexpr std::size_t kShown = 3;
  std::multimap<std::string, const Ledger::Entry*> ran;
  for (const Ledger::Entry& entry : ledger.entries()) {
    if (entry.calls > 0) ran.emplace(entry.layer, &entry);
  }
  std::vector<std::string> differences;
  std::set<std::string> planned;
  for (const PlanEntry& entry : plan.entries) {
    planned.insert(entry.layer.name);
    const auto [begin, end] = ran.equal_range(entry.layer.name);
    if (!entry.reason.empty()) {
      if (begin != end) differences.push_back(entry.layer.name + " ran though it is unsupported");
      continue;
    }
    if (begin == end) differences.push_back(entry.layer.name + " did not run");
    for (auto it = begin; it != end; ++it) {
      const KernelIdentity& kernel = it->second->kernel;
      if (kernel == entry.kernel) continue;
      differences.push_back(entry.layer.name + " ran " + difference(entry.kernel, kernel));
    }
  }
  for (const auto& [layer, entry] : ran) {
    if (!planned.contains(layer)) differences.push_back(layer + " ran but is not in the plan");
  }
  const std::size_t shown = std::min(differences.size(), kShown);
  std::string text =
      fmt::format("{}", fmt::join(differences.begin(), differences.begin() + shown, "; "));
  if (differences.size() > shown) text += fmt::format("; {} more", differences.size() - shown);
  return text;
}

Json summarize(const Ledger& ledger) {
  std::vector<Fold> folds;
  std::map<std::string, std::vector<std::size_t>> by_pattern;
  for (const Ledger::Entry& entry : ledger.entries()) {
    const std::string pattern = pattern_of(entry.layer);
    auto& candidates = by_pattern[pattern];
    const auto same = std::find_if(candidates.begin(), candidates.end(), [&](std::size_t i) {
      return folds[i].sum.kernel == entry.kernel;
    });
    if (same != candidates.end()) {
      add(folds[*same], entry);
    } else {
      candidates.push_back(folds.size());
      folds.push_back({pattern, entry, 1});
    }
  }
  Json json = Json::array();
  for (const Fold& fold : folds) {
    Json row = to_json(fold.sum.kernel);
    row["layer"] = fold.layers == 1 ? fold.sum.layer : fold.pattern;
    row["layers"] = fold.layers;
    add_counts(row, fold.sum);
    json.push_back(std::move(row));
  }
  return json;
}

}  // namespace assay::precision
