#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/model.h"
#include "measure/metering.h"

namespace assay::measure {

/// How often something is timed. Warm-up: at least `warmup` iterations (0: none), until two in a
/// row differ by less than 5 % or four times as many have run. Then at least `iterations` and at
/// least `min_seconds`.
struct TimingOptions {
  int warmup = 1;
  int iterations = 5;
  double min_seconds = 0.0;
};

/// Raw samples in seconds.
struct Timing {
  std::vector<double> seconds;
  int asked = 0;        ///< iterations that were asked for; a meter may have needed more
  int warmup = 0;       ///< iterations that were run before and are not in `seconds`
  bool steady = false;  ///< the last two of those differed by less than 5 %
  int checked = 0;      ///< iterations behind which TimedWork::after was called

  /// Time of one of `per` units of work in one iteration: {"value" (median), "unit", "mean",
  /// "stdev", "p50", "p90", "p95", "p99", "ci95": [lo, hi] of the median, "n", "per_iteration":
  /// `per`}; unit "ms" or "s".
  [[nodiscard]] Json latency(double per, const std::string& unit) const;
  /// `work` units an iteration, as a rate: the same fields.
  [[nodiscard]] Json rate(double work, const std::string& unit) const;
};

/// What is timed, and what happens between iterations, outside of the timed stretch.
struct TimedWork {
  std::function<void()> iteration;
  /// After timed iterations: checks the output of the last. After every one; but work that a meter
  /// reads must not pause, so there it may take a thousandth of the time, and then runs after the
  /// last iteration of each window and after as many others as that allows.
  std::function<void()> after = {};
  std::function<void(double)> tick = {};  ///< about once a second, with the fraction done
};

/// Calls the work as the options say, divided into the windows of `metering` where that is given;
/// asks for interrupts between iterations.
[[nodiscard]] Timing time_iterations(const TimingOptions& options, const TimedWork& work,
                                     Metering* metering = nullptr);

/// Decoder workload: each prompt length, and each generated length at each depth, for each batch;
/// rows are named as llama-bench does (pp512, tg128, tg128@d512); a batch above 1 adds "b4".
struct DecoderWorkload {
  std::vector<int> prompt{512};
  std::vector<int> generate{128};
  std::vector<int> depth{0};
  std::vector<int> batch{1};
  TimingOptions timing;
  std::uint64_t seed = 1;
};

/// Encoder workload: rows "b32s128".
struct EncoderWorkload {
  std::vector<int> batch{1};
  std::vector<int> sequence{128};
  TimingOptions timing{.warmup = 5, .iterations = 30, .min_seconds = 1.0};
  std::uint64_t seed = 1;
};

/// One measured test. `metrics` by the names of design.md section 8. `reason` is empty when the
/// timed outputs agree with those of an untimed pass.
struct BenchRow {
  std::string test;
  Json metrics = Json::object();
  std::vector<double> samples = {};
  std::string reason = {};
  Json iterations = nullptr;  ///< {"inputs", "asked", "ran", "warmup", "steady", "checked"}
  Json conditions = nullptr;  ///< Metering::conditions()
  std::vector<std::string> marks = {};  ///< Metering::marks(): what makes the figures doubtful
};

using RowSink = std::function<void(BenchRow&&)>;
using TokenSequences = std::span<const std::vector<engine::TokenId>>;

/// Tokens are random with a fixed seed unless `data` (tokenized samples) is given: each sequence
/// then begins with a sample (the next ones follow where it is too short), and the iterations of
/// prompt and encoder rows cycle through up to 16 different batches. The ledger holds the timed
/// iterations of the row when `sink` is called.
void bench_decoder(engine::Model& model, const DecoderWorkload& workload, TokenSequences data,
                   const base::ProgressSink& progress, const RowSink& sink);
void bench_encoder(engine::Model& model, const EncoderWorkload& workload, TokenSequences data,
                   const base::ProgressSink& progress, const RowSink& sink);

}  // namespace assay::measure
