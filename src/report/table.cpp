#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "report/layout.h"
#include "report/report.h"
#include "report/words.h"

namespace assay::report {
namespace {

/// Speed columns of the main table; a second table shows all tests where there are more.
constexpr std::size_t kMostSpeedColumns = 3;
/// Load per core from which a machine counts as busy: the study itself adds one at most.
constexpr double kBusyLoad = 1.5;
constexpr const char* kNothing = "—";

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::ranges::find(list, text) == list.end()) list.push_back(text);
}

std::vector<std::string> all_tests(const ModelFacts& model) {
  std::vector<std::string> tests;
  for (const CellFacts& cell : model.cells) {
    for (const Speed& speed : cell.speeds) add_once(tests, speed.test);
  }
  return tests;
}

/// The first test of each kind where there are too many: prompt, then decoding.
std::vector<std::string> main_tests(const ModelFacts& model) {
  auto tests = all_tests(model);
  if (tests.size() <= kMostSpeedColumns) return tests;
  std::vector<std::string> chosen = {tests.front()};
  add_once(chosen, model.headline_test());
  return chosen;
}

std::string unit_of(const ModelFacts& model, const std::string& test) {
  for (const CellFacts& cell : model.cells) {
    const Speed* speed = cell.speed(test);
    if (speed == nullptr) continue;
    return speed->shown.unit == "tokens/s" ? "t/s" : speed->shown.unit + "/sample";
  }
  return {};
}

std::vector<std::string> score_titles(const ModelFacts& model) {
  std::vector<std::string> titles;
  for (const CellFacts& cell : model.cells) {
    for (const Score& score : cell.scores) add_once(titles, score.title);
  }
  return titles;
}

std::string score_text(const CellFacts& cell, const std::string& title, Notes& notes) {
  const auto found = std::ranges::find(cell.scores, title, &Score::title);
  if (found == cell.scores.end()) return {};
  const Quantity& metric = found->metric;
  if (!metric.value) return metric.reason.empty() ? "" : kNothing + notes.add(metric.reason);
  const bool share = !title.ends_with("perplexity");
  std::string text = with_spread(metric, share ? 100 : 1) + (share ? " %" : "");
  for (const auto& note : found->notes) text += notes.add(note);
  return text;
}

/// The value, or a dash with a note why there is none; empty where nobody asked.
std::string or_reason(const std::string& value, const std::string& reason, Notes& notes) {
  if (!value.empty() || reason.empty()) return value;
  return kNothing + notes.add(reason);
}

/// Net energy of the test that speedups are taken from.
std::string energy_text(const CellFacts& cell, const std::string& test, Notes& notes) {
  const Speed* speed = cell.speed(test);
  const bool measured = speed != nullptr && (speed->energy.value || !speed->energy.reason.empty());
  const Quantity& energy = measured ? speed->energy : cell.energy;
  return or_reason(energy_words(energy), energy.reason, notes);
}

/// With what makes it doubtful.
std::string speed_text(const Speed* speed, Notes& notes) {
  if (speed == nullptr) return {};
  std::string text = with_spread(speed->shown);
  for (const auto& mark : speed->marks) text += notes.add(mark);
  return text;
}

std::string fidelity_cell(const CellFacts& cell, Notes& notes) {
  const std::string reason = cell.kl.reason.empty() ? cell.cosine.reason : cell.kl.reason;
  return or_reason(fidelity_text(cell), reason, notes);
}

/// One model's block: heading, table, notes.
class Block {
 public:
  Block(const ModelFacts& model, bool markdown, const ItemSource& items)
      : model_(model), markdown_(markdown), items_(items) {}
  std::string text(bool verbose);

 private:
  [[nodiscard]] std::string heading() const;
  [[nodiscard]] std::vector<std::string> line(const CellFacts& cell);
  [[nodiscard]] std::string speedup(const CellFacts& cell);
  [[nodiscard]] Grid main_grid();
  [[nodiscard]] Grid speed_grid() const;
  [[nodiscard]] Grid memory_grid() const;
  [[nodiscard]] Grid paired_grid() const;
  [[nodiscard]] std::string kernels() const;
  [[nodiscard]] std::string shown(const Grid& grid) const {
    return markdown_ ? grid.markdown() : grid.plain();
  }

  const ModelFacts& model_;
  bool markdown_;
  const ItemSource& items_;
  Notes notes_;
};

std::string Block::heading() const {
  std::string text = model_.name;
  if (model_.parameters) {
    text +=
        fmt::format(": {:.1f} M parameters, stored as {}", *model_.parameters / 1e6, model_.source);
  }
  if (model_.source_quantized) {
    text +=
        fmt::format(" (what {0} lost against its original is not in these figures)", model_.source);
  }
  return (markdown_ ? "**" + text + "**\n" : text) + "\n";
}

std::string Block::speedup(const CellFacts& cell) {
  const CellFacts* baseline = model_.baseline_of(cell);
  if (baseline == nullptr || !cell.ok()) return {};
  if (baseline == &cell) return "1x";
  const Comparison comparison = compare(cell, *baseline, model_.headline_test());
  std::string text = speedup_text(comparison);
  if (comparison.within_noise) {
    text += notes_.add("within noise: the 95 % intervals of the two medians overlap");
  }
  return text;
}

std::vector<std::string> Block::line(const CellFacts& cell) {
  const bool nothing = cell.cell->rows.empty();
  std::vector<std::string> texts = {
      cell.recipe, cell.device + (cell.fallback ? " (fallback)" : ""),
      nothing ? kNothing : proved_text(cell),
      cell.weight_bytes && !nothing ? bytes_text(*cell.weight_bytes) : std::string()};
  for (const auto& test : main_tests(model_)) {
    texts.push_back(speed_text(cell.speed(test), notes_));
  }
  texts.push_back(speedup(cell));
  for (const auto& title : score_titles(model_)) {
    texts.push_back(score_text(cell, title, notes_));
  }
  texts.push_back(fidelity_cell(cell, notes_));
  texts.push_back(energy_text(cell, model_.headline_test(), notes_));
  texts.push_back(verdict(model_, cell));
  return texts;
}

Grid Block::main_grid() {
  Grid grid;
  grid.columns = {{"recipe"}, {"runs on"}, {"proved"}, {"size", true}};
  const auto tests = main_tests(model_);
  for (const auto& test : tests) grid.columns.push_back({test + " " + unit_of(model_, test), true});
  const bool several = tests.size() > 1;
  grid.columns.push_back({several ? "speedup " + model_.headline_test() : "speedup", true});
  for (const auto& title : score_titles(model_)) grid.columns.push_back({title, true});
  for (const char* title : {"fidelity", "energy", "verdict"}) grid.columns.push_back({title});
  for (const CellFacts& cell : model_.cells) grid.lines.push_back(line(cell));
  return grid.compact();
}

/// Every timed test, where the main table has no room for all.
Grid Block::speed_grid() const {
  Grid grid;
  grid.columns = {{"recipe"}};
  const auto tests = all_tests(model_);
  if (tests.size() <= kMostSpeedColumns) return grid;
  for (const auto& test : tests) grid.columns.push_back({test + " " + unit_of(model_, test), true});
  for (const CellFacts& cell : model_.cells) {
    if (cell.speeds.empty()) continue;
    auto& texts = grid.lines.emplace_back(1, cell.recipe);
    for (const auto& test : tests) {
      const Speed* speed = cell.speed(test);
      texts.push_back(speed == nullptr ? "" : with_spread(speed->shown));
    }
  }
  return grid;
}

/// Most of a memory metric while the cell was timed; empty where it was not measured.
std::string peak_memory_text(const study::StoredCell& cell, const char* name) {
  double peak = 0.0;
  for (const Json& row : cell.rows) {
    const Json metric = row.value("metrics", Json::object()).value(name, Json());
    const Json value = metric.is_object() ? metric.value("value", Json()) : Json();
    if (value.is_number()) peak = std::max(peak, value.get<double>());
  }
  return peak > 0.0 ? bytes_text(peak) : std::string();
}

Json weight_bytes_of(const study::StoredCell& cell) {
  return cell.plan.is_object() ? cell.plan.value("weight_bytes", Json::object()) : Json::object();
}

/// Where the bytes are: peak memory, and weights in memory by encoding.
Grid Block::memory_grid() const {
  std::vector<std::string> encodings;
  for (const CellFacts& cell : model_.cells) {
    const Json bytes = weight_bytes_of(*cell.cell);
    for (const auto& entry : bytes.items()) add_once(encodings, entry.key());
  }
  Grid grid;
  grid.columns = {{"recipe"}, {"peak memory", true}, {"on the device", true}};
  for (const auto& name : encodings) grid.columns.push_back({"weights in " + name, true});
  if (encodings.empty()) return grid;
  for (const CellFacts& cell : model_.cells) {
    const Json bytes = weight_bytes_of(*cell.cell);
    auto& texts = grid.lines.emplace_back(
        std::vector<std::string>{cell.recipe, peak_memory_text(*cell.cell, "peak_host_memory"),
                                 peak_memory_text(*cell.cell, "peak_device_memory")});
    for (const auto& name : encodings) {
      texts.push_back(bytes.contains(name) ? bytes_text(bytes[name].get<double>()) : "");
    }
  }
  return grid.compact();
}

std::string points(double share) { return fmt::format("{:+.1f}", 100 * share); }

/// A p-value as people read it.
std::string p_text(double p) { return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p); }

/// Each recipe against its baseline on the same items.
Grid Block::paired_grid() const {
  Grid grid;
  grid.columns = {{"recipe"},         {"test"},
                  {"right", true},    {"points", true},
                  {"95 %", true},     {"lost, gained", true},
                  {"p (Holm)", true}, {"on the same items"}};
  for (const PairedAccuracy& pair : paired_accuracies(model_, items_)) {
    const std::string test = pair.test + " " + pair.metric;
    if (!pair.problem.empty()) {
      grid.lines.push_back({pair.cell->recipe, test, "", "", "", "", "", in_words(pair)});
      continue;
    }
    grid.lines.push_back(
        {pair.cell->recipe, test, fmt::format("{:.1f} %", 100 * pair.share),
         points(pair.difference()),
         fmt::format("{} to {}", points(pair.interval.low), points(pair.interval.high)),
         fmt::format("{}, {}", pair.lost, pair.gained), p_text(pair.p_holm), in_words(pair)});
  }
  for (const PairedPerplexity& pair : paired_perplexities(model_, items_)) {
    grid.lines.push_back({pair.cell->recipe, "perplexity", "", "", "", "", "", in_words(pair)});
  }
  return grid.compact();
}

/// What executed, per cell, from its first row: for --verbose.
std::string Block::kernels() const {
  Grid grid;
  grid.columns = {{"recipe"}, {"layers"}, {"encoding"}, {"compute"}, {"kernel"}, {"calls", true}};
  for (const CellFacts& cell : model_.cells) {
    if (cell.cell->rows.empty()) continue;
    for (const Json& entry : cell.cell->rows.front().value("executed", Json::array())) {
      grid.lines.push_back(
          {cell.recipe, fmt::format("{} x{}", entry.value("layer", ""), entry.value("layers", 1)),
           entry.value("encoding", ""), entry.value("compute", ""), entry.value("kernel", ""),
           std::to_string(entry.value("calls", std::int64_t{0}))});
    }
  }
  std::string text = grid.lines.empty() ? "" : "\n" + shown(grid);
  for (const CellFacts& cell : model_.cells) {
    text += fmt::format(
        "{}{}: cell {}, plan {}\n", markdown_ ? "\n" : "", cell.recipe, cell.cell->key,
        cell.cell->plan.is_object() ? cell.cell->plan.value("plan_hash", "none") : "none");
  }
  return text;
}

std::string Block::text(bool verbose) {
  std::string result = heading() + shown(main_grid());
  if (const Grid speeds = speed_grid(); !speeds.lines.empty()) {
    result += "\n" + shown(speeds);
  }
  if (const Grid paired = paired_grid(); !paired.lines.empty()) result += "\n" + shown(paired);
  if (const Grid memory = memory_grid(); !memory.lines.empty()) result += "\n" + shown(memory);
  const std::string notes = notes_.lines(markdown_);
  if (!notes.empty()) result += (markdown_ ? "\n" : "") + notes;
  return result + (verbose ? kernels() : "");
}

/// Speeds of different machines, instruction sets or builds stand beside each other only with a
/// word.
std::string mixed_environments(const std::vector<study::StoredCell>& cells) {
  std::vector<std::string> kinds;
  for (const auto& cell : cells) {
    if (!cell.environment.is_object()) continue;
    add_once(kinds, fmt::format("{}, {}, build {:.8}", cell.environment.value("cpu", ""),
                                cell.environment.value("isa", ""),
                                cell.environment.value("source_hash", "unknown")));
  }
  if (kinds.size() < 2) return {};
  std::string text =
      "the rows come from different machines or builds; their speeds do not compare:";
  for (const auto& kind : kinds) text += " [" + kind + "]";
  return text + "\n";
}

/// One-minute load before a cell; the cell before it leaves its own threads in there.
double load_before(const study::StoredCell& cell) {
  if (!cell.environment.is_object() || !cell.environment.contains("before")) return 0;
  const Json load = cell.environment.at("before").value("load_average", Json());
  return load.is_string() ? std::strtod(load.get<std::string>().c_str(), nullptr) : 0;
}

/// A machine that does other work meanwhile measures that work too.
std::string busy_machine(const std::vector<study::StoredCell>& cells) {
  std::size_t busy = 0;
  double most = 0;
  int cores = 0;
  for (const auto& cell : cells) {
    cores = cell.environment.is_object() ? cell.environment.value("cores", 0) : 0;
    if (cores == 0 || load_before(cell) <= kBusyLoad * cores) continue;
    ++busy;
    most = std::max(most, load_before(cell));
  }
  if (busy == 0) return {};
  return fmt::format(
      "the machine was busy: {} of {} cells began at a load of up to {:.1f}; their "
      "speeds are too low, measure again when it is idle\n",
      busy, cells.size(), most);
}

}  // namespace

std::string table(const std::vector<study::StoredCell>& cells, bool markdown, bool verbose,
                  const ItemSource& items) {
  std::string result;
  for (const ModelFacts& model : gather(cells)) {
    result += (result.empty() ? "" : "\n") + Block(model, markdown, items).text(verbose);
  }
  const std::string warnings = mixed_environments(cells) + busy_machine(cells);
  return result + (warnings.empty() ? "" : "\n" + warnings);
}

}  // namespace assay::report
