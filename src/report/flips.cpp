#include <algorithm>

#include "base/io.h"
#include "report/answers.h"

namespace assay::report {
namespace {

constexpr std::size_t kTextLength = 240;

std::string choice_text(const Json& item, const Json& index) {
  if (!item.contains("choices") || !index.is_number_integer()) return index.dump();
  const auto choice = index.get<std::size_t>();
  if (choice >= item.at("choices").size()) return index.dump();
  return fmt::format("{} \"{}\"", choice,
                     base::printable(item.at("choices")[choice].get<std::string>(), 120));
}

/// One line for what stays the same and one for each recipe's answer.
std::string flip_text(const Json& before, const Json& after, const std::string& baseline,
                      const std::string& recipe) {
  const bool was_right = before.at("predicted") == before.at("gold");
  const bool is_right = after.at("predicted") == after.at("gold");
  const char* change = was_right  ? "right -> wrong"
                       : is_right ? "wrong -> right"
                                  : "wrong -> wrong";
  std::string text = fmt::format("  #{} {}", before.value("i", 0), change);
  if (before.contains("group")) text += " [" + before.at("group").get<std::string>() + "]";
  if (before.contains("text")) {
    text += ": " + base::printable(before.at("text").get<std::string>(), kTextLength);
  }
  return text + fmt::format("\n      gold {}\n      {}: {}\n      {}: {}\n",
                            choice_text(before, before.at("gold")), baseline,
                            choice_text(before, before.at("predicted")), recipe,
                            choice_text(before, after.at("predicted")));
}

std::string pair_text(const CellFacts& cell, const CellFacts& baseline, const std::string& test,
                      const ItemSource& items, std::size_t most) {
  const Json ours = items(cell.cell->key, test);
  const Json theirs = items(baseline.cell->key, test);
  if (ours.empty() || ours.size() != theirs.size() || !ours.front().contains("predicted"))
    return {};
  const std::string recipe = cell.cell->cell.value("recipe_name", cell.recipe);
  const std::string base = baseline.cell->cell.value("recipe_name", baseline.recipe);
  std::string lines;
  std::size_t flips = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].at("predicted") == theirs[i].at("predicted")) continue;
    if (flips++ < most) lines += flip_text(theirs[i], ours[i], base, recipe);
  }
  if (flips > most) {
    lines += fmt::format("  ... and {} more (--most {})\n", flips - most, flips);
  }
  return fmt::format("{}: {} -> {}: {} of {} items flip\n{}", test, base, recipe, flips,
                     ours.size(), lines);
}

}  // namespace

std::string flipped_items(const std::vector<study::StoredCell>& cells, const ItemSource& items,
                          const std::string& test, const std::string& recipe, std::size_t most) {
  std::string text;
  for (const ModelFacts& model : gather(cells)) {
    std::string block;
    for (const CellFacts& cell : model.cells) {
      const bool wanted = recipe.empty() || cell.cell->cell.value("recipe_name", "") == recipe;
      for (const Json& row : cell.cell->rows) {
        const Json name = row.value("test", Json());
        if (!wanted || !name.is_string() || (!test.empty() && name != test)) continue;
        const CellFacts* baseline = model.baseline_of(cell, name.get<std::string>());
        if (baseline == nullptr || baseline == &cell) continue;
        block += pair_text(cell, *baseline, name.get<std::string>(), items, most);
      }
    }
    if (!block.empty()) text += (text.empty() ? "" : "\n") + model.name + "\n" + block;
  }
  return text.empty() ? "No two recipes of a model have answers to the same items.\n" : text;
}

}  // namespace assay::report
