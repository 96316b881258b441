#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "engine/model.h"

namespace assay::measure {

/// How often something is timed. Warm-up ends after `warmup` iterations and once the rate is steady
/// (or after 4 x warmup); then at least `iterations` and at least `min_seconds`.
struct TimingOptions {
  int warmup = 1;
  int iterations = 5;
  double min_seconds = 0.0;
};

/// Raw samples in seconds and what follows from them; the statistics are stats/'s.
struct Timing {
  std::vector<double> seconds;
  /// {"value": scale/median, "unit", "mean", "stdev", "p50", "p90", "p95", "p99", "ci95": [lo, hi]}
  [[nodiscard]] Json latency(double per, const std::string& unit) const;
  /// `work / seconds`, as a rate with the bootstrap interval of the median.
  [[nodiscard]] Json rate(double work, const std::string& unit) const;
};

/// Calls `iteration(i)`; checks interrupts between iterations.
template <typename F>
Timing time_iterations(const TimingOptions& options, F&& iteration);

/// Decoder workload: every combination of prompt and (generate, depth) per batch, rows named as
/// llama-bench does (pp512, tg128, tg128@d512; batch > 1 adds "b4").
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

/// One measured test. `metrics` by the names of design.md section 8; `verified` false with `reason`
/// when a timed output differed from the untimed verification pass.
struct BenchRow {
  std::string test;
  Json metrics;
  std::vector<double> samples;
  bool verified = false;
  std::string reason;
};

using RowSink = std::function<void(BenchRow&&)>;

/// Tokens are random with a fixed seed unless `data` (pre-tokenized sequences) is given, which is then
/// cycled through. The ledger is cleared before the first timed iteration of each row.
void bench_decoder(engine::Model& model, const DecoderWorkload& workload,
                   std::span<const std::vector<engine::TokenId>> data,
                   const base::ProgressSink& progress, const RowSink& sink);
void bench_encoder(engine::Model& model, const EncoderWorkload& workload,
                   std::span<const std::vector<engine::TokenId>> data,
                   const base::ProgressSink& progress, const RowSink& sink);

}  // namespace assay::measure
