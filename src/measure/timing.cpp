#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/progress.h"
#include "measure/bench.h"
#include "stats/samples.h"

namespace assay::measure {
namespace {

constexpr int kBootstrapResamples = 2000;
constexpr double kSteady = 0.05;
/// Warm-up ends without steadiness after so many times the iterations asked for.
constexpr int kMostWarmup = 4;
/// Share of the time that checks of outputs may take between iterations that a meter reads.
constexpr double kCheckShare = 1e-3;

IterationSpan span_of(const std::function<void()>& iteration) {
  const double begin = clock_seconds();
  iteration();
  return {begin, clock_seconds()};
}

double length(const IterationSpan& span) { return span.end - span.begin; }

Json describe(std::vector<double> values, const std::string& unit, double work) {
  const auto interval = stats::bootstrap_median_interval(values, 0.95, kBootstrapResamples, 1);
  return {{"value", stats::median(values)},
          {"unit", unit},
          {"mean", stats::mean(values)},
          {"stdev", stats::stdev(values)},
          {"p50", stats::percentile(values, 50)},
          {"p90", stats::percentile(values, 90)},
          {"p95", stats::percentile(values, 95)},
          {"p99", stats::percentile(values, 99)},
          {"ci95", {interval.low, interval.high}},
          {"n", values.size()},
          {"per_iteration", work}};
}

/// Says that work goes on, at most once a second.
class Ticker {
 public:
  explicit Ticker(const std::function<void(double)>& tick) : tick_(tick) {}
  void operator()(double fraction) {
    const auto now = std::chrono::steady_clock::now();
    if (!tick_ || now - last_ < std::chrono::seconds(1)) return;
    last_ = now;
    tick_(std::min(fraction, 1.0));
  }

 private:
  const std::function<void(double)>& tick_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void warm_up(const TimingOptions& options, const std::function<void()>& iteration, Ticker& tick,
             Timing& timing) {
  if (options.warmup <= 0) return;
  const int most = kMostWarmup * options.warmup;
  double last = 0.0;
  while (timing.warmup < most && !(timing.warmup >= options.warmup && timing.steady)) {
    base::check_interrupted();
    const double now = length(span_of(iteration));
    tick(0.0);
    timing.steady = last > 0.0 && std::abs(now - last) <= kSteady * last;
    last = now;
    ++timing.warmup;
  }
}

/// The timed iterations, window by window.
class Timer {
 public:
  Timer(const TimingOptions& options, const TimedWork& work, Metering* metering, Ticker& tick,
        Timing& timing)
      : options_(options),
        work_(work),
        metering_(metering),
        tick_(tick),
        timing_(timing),
        windows_(metering != nullptr ? metering->windows() : 1) {}

  void run() {
    for (int w = 0; w < windows_; ++w) {
      if (metering_ != nullptr) metering_->begin_window(w);
      const auto spans = window(w);
      if (metering_ != nullptr) metering_->end_window(spans);
    }
  }

 private:
  [[nodiscard]] bool done(int window) const {
    const double share = double(window + 1) / windows_;
    return double(timing_.seconds.size()) >= share * options_.iterations &&
           total_ >= share * options_.min_seconds && (metering_ == nullptr || metering_->enough());
  }

  std::vector<IterationSpan> window(int index) {
    std::vector<IterationSpan> spans;
    bool checked = true;
    while (!done(index)) {
      base::check_interrupted();
      spans.push_back(span_of(work_.iteration));
      timing_.seconds.push_back(length(spans.back()));
      total_ += timing_.seconds.back();
      checked = check(windows_ == 1);
      tell();
    }
    if (!checked) check(true);
    return spans;
  }

  /// Returns whether the output was looked at.
  bool check(bool must) {
    if (!must && check_seconds_ + last_check_ > kCheckShare * total_) return false;
    if (work_.after) last_check_ = length(span_of(work_.after));
    check_seconds_ += last_check_;
    ++timing_.checked;
    return true;
  }

  void tell() {
    const double by_count = double(timing_.seconds.size()) / std::max(1, options_.iterations);
    const double by_time = options_.min_seconds > 0 ? total_ / options_.min_seconds : 1.0;
    tick_(std::min(by_count, by_time));
  }

  const TimingOptions& options_;
  const TimedWork& work_;
  Metering* metering_;
  Ticker& tick_;
  Timing& timing_;
  int windows_;
  double total_ = 0.0;
  double check_seconds_ = 0.0;
  double last_check_ = 0.0;
};

}  // namespace

Json Timing::latency(double per, const std::string& unit) const {
  const double scale = (unit == "ms" ? 1e3 : 1.0) / per;
  std::vector<double> values(seconds);
  std::ranges::transform(values, values.begin(), [&](double s) { return s * scale; });
  return describe(std::move(values), unit, per);
}

Json Timing::rate(double work, const std::string& unit) const {
  std::vector<double> values(seconds);
  std::ranges::transform(values, values.begin(), [&](double s) { return work / s; });
  return describe(std::move(values), unit, work);
}

Timing time_iterations(const TimingOptions& options, const TimedWork& work, Metering* metering) {
  Timing timing{.asked = options.iterations};
  Ticker tick(work.tick);
  warm_up(options, work.iteration, tick, timing);
  Timer(options, work, metering, tick, timing).run();
  return timing;
}

}  // namespace assay::measure
