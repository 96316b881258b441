#include "report/words.h"

#include <fmt/core.h>

#include <array>
#include <cmath>

namespace assay::report {
namespace {

/// Below this a size is "the same": encodings differ by more, rounding and norms by less.
constexpr double kSameSize = 0.05;

std::string join(const std::string& left, const std::string& right) {
  return left.empty() || right.empty() ? left + right : left + ", " + right;
}

/// Of a cell that did not end well.
std::string failure(const CellFacts& cell) {
  const std::string& status = cell.cell->status;
  const std::string& reason = cell.cell->reason;
  const std::string why = reason.empty() ? status : reason;
  if (status == "invalid" || cell.proved == false) return "do not use: " + why;
  if (!cell.cell->rows.empty()) return fmt::format("incomplete ({}): {}", status, why);
  if (status == "unsupported") return "not measured: " + why;
  return fmt::format("not measured ({}): {}", status, why);
}

/// "1.4x", and "1.03x" where one decimal would say 1.0.
std::string factor(double ratio) {
  return ratio < 1.095 ? fmt::format("{:.2f}x", ratio) : fmt::format("{:.1f}x", ratio);
}

std::string speed_words(const Comparison& comparison, const std::string& baseline) {
  if (!comparison.speedup) return {};
  const double ratio = *comparison.speedup;
  if (comparison.within_noise) return "as fast as " + baseline;
  if (ratio >= 1) return factor(ratio) + " faster";
  return ratio > 0 ? fmt::format("{} slower than {}", factor(1 / ratio), baseline) : "";
}

std::string size_words(const Comparison& comparison) {
  if (!comparison.smaller || std::abs(*comparison.smaller - 1) < kSameSize) return {};
  if (*comparison.smaller > 1) return factor(*comparison.smaller) + " smaller";
  return factor(1 / *comparison.smaller) + " larger";
}

std::string fidelity_words(const CellFacts& cell) {
  if (cell.kl.value) return fmt::format("KL {:.2g}", *cell.kl.value);
  if (cell.cosine.value) return fmt::format("cos {:.5f}", *cell.cosine.value);
  return {};
}

}  // namespace

std::string digits(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return "—";
  if (size >= 100 || size == 0) return fmt::format("{:.0f}", value);
  if (size >= 10) return fmt::format("{:.1f}", value);
  if (size >= 1) return fmt::format("{:.2f}", value);
  return fmt::format("{:.2g}", value);
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 4> kUnits = {"B", "kB", "MB", "GB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return digits(bytes) + " " + kUnits[unit];
}

std::string with_spread(const Quantity& quantity, double scale) {
  if (!quantity.value) return {};
  std::string result = digits(*quantity.value * scale);
  if (quantity.low && quantity.high) {
    result += " ±" + digits((*quantity.high - *quantity.low) / 2 * scale);
  } else if (quantity.error) {
    result += " ±" + digits(*quantity.error * scale);
  }
  return result;
}

std::string energy_words(const Quantity& energy) {
  if (!energy.value) return {};
  const bool small = std::abs(*energy.value) < 1.0;
  return with_spread(energy, small ? 1e3 : 1.0) + (small ? " m" : " ") + energy.unit;
}

std::string speedup_text(const Comparison& comparison) {
  if (!comparison.speedup) return {};
  if (comparison.within_noise) return fmt::format("~{:.1f}x", *comparison.speedup);
  return fmt::format("{:.2f}x", *comparison.speedup);
}

std::string fidelity_text(const CellFacts& cell) {
  if (cell.kl.value && cell.top1.value) {
    return fmt::format("KL {:.2g}, top-1 {:.1f} %", *cell.kl.value, 100 * *cell.top1.value);
  }
  return fidelity_words(cell);
}

std::string proved_text(const CellFacts& cell) {
  if (!cell.proved) return "—";
  return *cell.proved ? "yes" : "no";
}

std::string verdict(const ModelFacts& model, const CellFacts& cell) {
  if (!cell.ok()) return failure(cell);
  const CellFacts* baseline = model.baseline_of(cell);
  const std::string prefix = cell.fallback ? "fallback, left out of comparisons" : "";
  if (baseline == &cell) return "baseline";
  if (baseline == nullptr) return join(prefix, fidelity_words(cell));
  const Comparison comparison = compare(cell, *baseline, model.headline_test());
  const std::string name = baseline->cell->cell.value("recipe_name", baseline->recipe);
  std::string words = join(prefix, speed_words(comparison, name));
  words = join(words, size_words(comparison));
  return join(words, fidelity_words(cell));
}

}  // namespace assay::report
