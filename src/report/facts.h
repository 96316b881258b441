#pragma once

#include <optional>
#include <string>
#include <vector>

#include "study/store.h"

namespace assay::report {

/// One metric of a row. Without a value there is a reason why.
struct Quantity {
  std::optional<double> value;
  std::optional<double> low;  ///< 95 % interval
  std::optional<double> high;
  std::optional<double> error;  ///< standard error, or a meter's error
  std::string unit;
  std::string reason;
};

/// One timed test. `rate` is larger when faster, whatever is shown.
struct Speed {
  std::string test;  ///< "pp512"
  Quantity shown;    ///< tokens/s, or ms a sample
  Quantity rate;
  Quantity energy = {};                 ///< net, of a token or sample
  std::vector<std::string> marks = {};  ///< "cuda:0 was throttled meanwhile: power cap"
};

/// One scored task with the metric that stands for it.
struct Score {
  std::string title;  ///< "sst2 acc"
  Quantity metric;
  std::vector<std::string> notes;  ///< procedure, what was cut, what the score depends on
};

/// What a cell's rows say, for one line of a table.
struct CellFacts {
  const study::StoredCell* cell = nullptr;
  std::string recipe;  ///< "bf16 (from q4_1)"
  std::string device;
  bool fallback = false;
  bool plain = false;          ///< nothing but fp32, fp16 and bf16 ran
  std::optional<bool> proved;  ///< none: nothing ran
  std::optional<double> weight_bytes;
  std::vector<Speed> speeds;
  std::vector<Score> scores;
  Quantity kl;
  Quantity top1;
  Quantity cosine;
  Quantity energy;  ///< of the first test that has one; or why none has

  [[nodiscard]] bool ok() const { return cell->status == "ok"; }
  [[nodiscard]] const Speed* speed(const std::string& test) const;
  [[nodiscard]] bool has(const std::string& test) const;  ///< a row of it
};

/// The cells of one model, in order.
struct ModelFacts {
  std::string name;
  std::optional<double> parameters;
  std::string source;
  bool source_quantized = false;
  std::vector<CellFacts> cells;

  /// What the cell is compared with: the baseline that its study names, else the first cell that
  /// ran in 16 bit or fp32; on the cell's own device where there is one. Null if none is ok. With a
  /// test, of those that have a row of it: a study may score a recipe's tasks in cells of their
  /// own.
  [[nodiscard]] const CellFacts* baseline_of(const CellFacts& cell,
                                             const std::string& test = {}) const;
  /// The test that speedups are taken from: decoding where it was measured, else the first.
  [[nodiscard]] std::string headline_test() const;
};

/// A cell against its baseline. Fallback cells are compared too: whoever shows them says so.
struct Comparison {
  std::optional<double> speedup;
  bool within_noise = false;      ///< the 95 % intervals overlap
  std::optional<double> smaller;  ///< baseline's weight bytes over the cell's
};
[[nodiscard]] Comparison compare(const CellFacts& cell, const CellFacts& baseline,
                                 const std::string& test);

[[nodiscard]] std::vector<ModelFacts> gather(const std::vector<study::StoredCell>& cells);

}  // namespace assay::report
