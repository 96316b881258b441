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

double seconds_of(const std::function<void()>& iteration) {
  const auto begin = std::chrono::steady_clock::now();
  iteration();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Json describe(std::vector<double> values, const std::string& unit) {
  const auto interval = stats::bootstrap_median_interval(values, 0.95, kBootstrapResamples, 1);
  return {{"value", stats::median(values)},        {"unit", unit},
          {"mean", stats::mean(values)},           {"stdev", stats::stdev(values)},
          {"p50", stats::percentile(values, 50)},  {"p90", stats::percentile(values, 90)},
          {"p95", stats::percentile(values, 95)},  {"p99", stats::percentile(values, 99)},
          {"ci95", {interval.low, interval.high}}, {"n", values.size()}};
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

int warm_up(const TimingOptions& options, const std::function<void()>& iteration, Ticker& tick) {
  double last = 0.0;
  int done = 0;
  while (done < 4 * options.warmup) {
    base::check_interrupted();
    const double now = seconds_of(iteration);
    tick(0.0);
    const bool steady = last > 0.0 && std::abs(now - last) <= kSteady * last;
    last = now;
    if (++done >= options.warmup && (steady || options.warmup <= 1)) break;
  }
  return done;
}

}  // namespace

Json Timing::latency(double per, const std::string& unit) const {
  const double scale = (unit == "ms" ? 1e3 : 1.0) / per;
  std::vector<double> values(seconds);
  std::ranges::transform(values, values.begin(), [&](double s) { return s * scale; });
  return describe(std::move(values), unit);
}

Json Timing::rate(double work, const std::string& unit) const {
  std::vector<double> values(seconds);
  std::ranges::transform(values, values.begin(), [&](double s) { return work / s; });
  return describe(std::move(values), unit);
}

Timing time_iterations(const TimingOptions& options, const TimedWork& work) {
  Timing timing;
  Ticker tick(work.tick);
  timing.warmup = warm_up(options, work.iteration, tick);
  double total = 0.0;
  while (static_cast<int>(timing.seconds.size()) < options.iterations ||
         total < options.min_seconds) {
    base::check_interrupted();
    timing.seconds.push_back(seconds_of(work.iteration));
    if (work.after) work.after();
    total += timing.seconds.back();
    const double by_count = double(timing.seconds.size()) / std::max(1, options.iterations);
    const double by_time = options.min_seconds > 0 ? total / options.min_seconds : 1.0;
    tick(std::min(by_count, by_time));
  }
  return timing;
}

}  // namespace assay::measure
