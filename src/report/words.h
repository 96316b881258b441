#pragma once

#include <string>

#include "report/facts.h"

namespace assay::report {

/// Three significant digits, without an exponent where a person would not write one: 1234, 41.3,
/// 0.012.
[[nodiscard]] std::string digits(double value);
/// "134 MB"
[[nodiscard]] std::string bytes_text(double bytes);
/// "41.3 ±0.4": half the 95 % interval, or the standard error where there is no interval.
[[nodiscard]] std::string with_spread(const Quantity& quantity, double scale = 1.0);
/// "47.0 ±1.2 mJ/token"; empty without a value.
[[nodiscard]] std::string energy_words(const Quantity& energy);
/// "1.42x", or "~1.0x" within noise.
[[nodiscard]] std::string speedup_text(const Comparison& comparison);
/// "KL 0.012, top-1 97.1 %" or "cos 0.99991"; empty if neither was measured.
[[nodiscard]] std::string fidelity_text(const CellFacts& cell);
/// "yes", "no", or "—" where nothing ran.
[[nodiscard]] std::string proved_text(const CellFacts& cell);

/// The cell in a few words: "baseline", "1.4x faster, KL 0.012", "1.2x slower than bf16",
/// "not measured: reason".
[[nodiscard]] std::string verdict(const ModelFacts& model, const CellFacts& cell);

}  // namespace assay::report
