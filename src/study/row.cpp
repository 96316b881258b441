#include "study/row.h"

#include <algorithm>

#include "base/json.h"

namespace assay::study {
namespace {

/// Empty where no outlier columns are fixed.
std::string fixed_outliers(const precision::Plan& plan) {
  std::size_t layers = 0;
  std::size_t columns = 0;
  for (const precision::PlanEntry& entry : plan.entries) {
    if (!entry.outliers) continue;
    ++layers;
    columns += entry.outliers->size();
  }
  if (layers == 0) return {};
  return fmt::format("outlier columns are fixed: {} in {} layers, by {} (table {:.12})", columns,
                     layers, plan.calibration.at("origin").get<std::string>(),
                     plan.calibration.at("table").get<std::string>());
}

/// Empty where no activation has a fixed scale.
std::string fixed_ranges(const precision::Plan& plan) {
  const auto layers = std::ranges::count_if(
      plan.entries, [](const precision::PlanEntry& e) { return e.activation_range.has_value(); });
  if (layers == 0) return {};
  return fmt::format("activation scales of {} layers are fixed, by {} (table {:.12})", layers,
                     plan.calibration.at("origin").get<std::string>(),
                     plan.calibration.at("table").get<std::string>());
}

Json all_notes(const engine::Model& model, const Json& notes) {
  Json all = model.plan().notices;
  for (const auto& notice : model.source().weights().notices) all.push_back(notice);
  for (const Json& note : notes) all.push_back(note);
  if (const std::string fixed = fixed_outliers(model.plan()); !fixed.empty()) all.push_back(fixed);
  if (const std::string fixed = fixed_ranges(model.plan()); !fixed.empty()) all.push_back(fixed);
  return all;
}

}  // namespace

Json make_row(engine::Model& model, const std::string& test, Json metrics,
              const std::vector<double>& samples, std::string reason, const Json& notes) {
  const auto& plan = model.plan();
  const bool ran = !model.ledger().entries().empty();
  const std::string mismatch = ran ? precision::compare(plan, model.ledger()) : "";
  if (!mismatch.empty()) reason = mismatch;
  const bool fallback = std::ranges::any_of(plan.entries, &precision::PlanEntry::fallback);
  Json row = {{"model", model.source().name()},
              {"source", plan.source},
              {"recipe", plan.recipe},
              {"device", plan.device_names()},
              {"threads", model.threads()},
              {"status", reason.empty() ? "ok" : "invalid"},
              {"reason", reason},
              {"proved", ran ? Json(mismatch.empty()) : Json(nullptr)},
              {"fallback", fallback},
              {"test", test},
              {"metrics", std::move(metrics)},
              {"executed", precision::summarize(model.ledger())},
              {"notes", all_notes(model, notes)},
              {"samples", samples}};
  if (!plan.calibration.is_null()) row["calibration"] = plan.calibration;
  return row;
}

}  // namespace assay::study
