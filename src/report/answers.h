#pragma once

#include <functional>
#include <string>
#include <vector>

#include "report/facts.h"
#include "stats/samples.h"

namespace assay::report {

/// The answers of a cell to a test, in order, as the store has them; may be empty. Without a source
/// nothing is compared.
using ItemSource = std::function<Json(const std::string& key, const std::string& test)>;

/// Share of right answers of a recipe beside its baseline's, on the same items.
struct PairedAccuracy {
  const CellFacts* cell = nullptr;
  const CellFacts* baseline = nullptr;
  std::string test;    ///< "hellaswag"
  std::string metric;  ///< "acc_norm"
  std::int64_t items = 0;
  std::int64_t lost = 0;    ///< right with the baseline, wrong with the recipe
  std::int64_t gained = 0;  ///< the other way
  double share = 0.0;       ///< of right answers
  double baseline_share = 0.0;
  stats::Interval interval;  ///< 95 % of the difference, by paired bootstrap
  double p = 1.0;            ///< exact McNemar test
  double p_holm = 1.0;       ///< corrected for the recipes that meet the same baseline
  double detectable = 1.0;   ///< smallest difference that so many items show
  bool at_chance = false;    ///< an interval of the two holds what guessing gives
  std::string problem;       ///< why nothing was compared; then all but the names is void

  [[nodiscard]] double difference() const { return share - baseline_share; }
};

/// Perplexity of a recipe over its baseline's, on the same windows.
struct PairedPerplexity {
  const CellFacts* cell = nullptr;
  const CellFacts* baseline = nullptr;
  std::int64_t windows = 0;
  double ratio = 1.0;
  stats::Interval interval;  ///< 95 %, by paired bootstrap over windows
};

/// Every recipe of a model against its baseline, by test; level 5 %.
[[nodiscard]] std::vector<PairedAccuracy> paired_accuracies(const ModelFacts& model,
                                                            const ItemSource& items);
[[nodiscard]] std::vector<PairedPerplexity> paired_perplexities(const ModelFacts& model,
                                                                const ItemSource& items);

/// "not distinguishable from bf16 at n = 1,000 (a difference under 2.1 points could not have been
/// seen)", "worse by 1.3 points (0.4 to 2.2)", "at chance: cannot rank precisions".
[[nodiscard]] std::string in_words(const PairedAccuracy& pair);
[[nodiscard]] std::string in_words(const PairedPerplexity& pair);

/// The comparisons as rows for JSON.
[[nodiscard]] Json comparisons(const std::vector<ModelFacts>& models, const ItemSource& items);

/// Items that flip between each recipe and its baseline, with their text: at most `most` of each
/// pair and test. `test` empty: all; `recipe` empty: all.
[[nodiscard]] std::string flipped_items(const std::vector<study::StoredCell>& cells,
                                        const ItemSource& items, const std::string& test,
                                        const std::string& recipe, std::size_t most);

}  // namespace assay::report
