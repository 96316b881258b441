#include "study/row.h"

#include <algorithm>

#include "base/json.h"

namespace assay::study {
namespace {

Json all_notes(const engine::Model& model, const Json& notes) {
  Json all = model.plan().notices;
  for (const auto& notice : model.source().weights().notices) all.push_back(notice);
  for (const Json& note : notes) all.push_back(note);
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
  return {{"model", model.source().name()},
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
}

}  // namespace assay::study
