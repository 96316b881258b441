#include <fmt/core.h>

#include <algorithm>

#include "report/report.h"
#include "report/words.h"

namespace assay::report {
namespace {

/// What still counts as the same model; every answer states it.
constexpr double kMostKl = 0.05;
constexpr double kLeastCosine = 0.999;

bool has_fidelity(const CellFacts& cell) { return cell.kl.value || cell.cosine.value; }

bool is_close(const CellFacts& cell) {
  if (cell.kl.value) return *cell.kl.value <= kMostKl;
  return cell.cosine.value && *cell.cosine.value >= kLeastCosine;
}

/// The cells of one model that may be recommended.
struct Choice {
  const ModelFacts& model;
  std::string test;
  bool judged = false;  ///< fidelity was measured
  std::vector<const CellFacts*> close;

  explicit Choice(const ModelFacts& m) : model(m), test(m.headline_test()) {
    judged = std::ranges::any_of(m.cells, has_fidelity);
    for (const CellFacts& cell : m.cells) {
      const bool usable = cell.ok() && cell.proved == true && !cell.fallback &&
                          cell.speed(test) != nullptr && cell.speed(test)->rate.value;
      const bool reference = m.baseline_of(cell) == &cell;
      if (usable && (!judged || reference || is_close(cell))) close.push_back(&cell);
    }
  }
  [[nodiscard]] const CellFacts* fastest() const {
    const auto best = std::ranges::max_element(
        close, {}, [this](const CellFacts* cell) { return *cell->speed(test)->rate.value; });
    return best == close.end() ? nullptr : *best;
  }
  [[nodiscard]] std::string limit(const std::string& baseline) const {
    const bool decoder =
        std::ranges::any_of(model.cells, [](const CellFacts& c) { return c.kl.value.has_value(); });
    if (!judged) return "; how close they are was not measured (add the task fidelity)";
    if (decoder)
      return fmt::format(" whose KL divergence from {} is at most {}", baseline, kMostKl);
    return fmt::format(" whose cosine to {} is at least {}", baseline, kLeastCosine);
  }
  [[nodiscard]] std::string speed_of(const CellFacts& cell) const {
    const Quantity& shown = cell.speed(test)->shown;
    return fmt::format("{} {} in {}", digits(shown.value.value_or(0)),
                       shown.unit == "ms" ? "ms a sample" : shown.unit, test);
  }
};

std::string sentence(const ModelFacts& model) {
  const Choice choice(model);
  const CellFacts* best = choice.fastest();
  if (best == nullptr) {
    return choice.test.empty()
               ? fmt::format("{}: no recipe was timed, so none can be recommended.", model.name)
               : fmt::format("{}: no answer; no recipe ran as planned and close enough.",
                             model.name);
  }
  const CellFacts* baseline = model.baseline_of(*best);
  if (baseline == nullptr) {
    return fmt::format(
        "{}: {} on {} is the fastest of {} proved recipes ({}); there is no 16-bit row "
        "to compare with.",
        model.name, best->recipe, best->device, choice.close.size(), choice.speed_of(*best));
  }
  const std::string among =
      fmt::format("{} proved recipes{}", choice.close.size(), choice.limit(baseline->recipe));
  const Comparison comparison = compare(*best, *baseline, choice.test);
  if (best == baseline || comparison.within_noise) {
    return fmt::format("{}: stay with {} on {} ({}); beyond the noise it is the fastest of {}.",
                       model.name, baseline->recipe, baseline->device, choice.speed_of(*baseline),
                       among);
  }
  return fmt::format("{}: use {} on {} ({}; {}); it is the fastest of {}.", model.name,
                     best->recipe, best->device, choice.speed_of(*best), verdict(model, *best),
                     among);
}

}  // namespace

std::string answer(const std::vector<study::StoredCell>& cells) {
  std::string text;
  for (const ModelFacts& model : gather(cells)) {
    text += (text.empty() ? "" : "\n") + sentence(model);
  }
  return text.empty() ? "Nothing was measured." : text;
}

}  // namespace assay::report
