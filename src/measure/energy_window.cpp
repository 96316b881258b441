#include "measure/energy_window.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace assay::measure {
namespace {

/// A regulator holds a device to its limit on average, not at every moment.
constexpr double kOverLimit = 1.1;
/// Two neighbouring readings place a step to within their distance, so that the power of a single
/// step is known less well than that of a window.
constexpr double kOverLimitOfOneStep = 3.0;

struct Step {
  double seconds;
  double joules;  ///< the counter behind the step
};

/// Where the counter moved, or what is wrong with it.
struct Steps {
  std::vector<Step> steps;
  std::string problem;
};

Steps find_steps(std::span<const CounterReading> readings) {
  Steps found;
  for (std::size_t i = 1; i < readings.size(); ++i) {
    const CounterReading& before = readings[i - 1];
    const CounterReading& now = readings[i];
    if (now.joules < before.joules) {
      found.problem = fmt::format("the counter went backwards, from {:.6g} to {:.6g} J",
                                  before.joules, now.joules);
      return found;
    }
    if (now.joules == before.joules) continue;
    found.steps.push_back({(before.seconds + now.seconds) / 2, now.joules});
  }
  return found;
}

/// The longest time in [begin, end] in which the counter did not move.
double longest_pause(const std::vector<Step>& steps, double begin, double end) {
  double last = begin;
  double longest = 0.0;
  for (const Step& step : steps) {
    if (step.seconds <= begin || step.seconds >= end) continue;
    longest = std::max(longest, step.seconds - last);
    last = step.seconds;
  }
  return std::max(longest, end - last);
}

std::string too_much_power(std::span<const Step> steps, double limit) {
  const auto check = [&](const Step& from, const Step& to, double factor) -> std::string {
    const double watts = (to.joules - from.joules) / (to.seconds - from.seconds);
    if (watts <= limit * factor) return {};
    return fmt::format("the counter says {:.4g} W, the device can draw {:.4g} W", watts, limit);
  };
  for (std::size_t i = 1; i < steps.size(); ++i) {
    std::string problem = check(steps[i - 1], steps[i], kOverLimitOfOneStep);
    if (!problem.empty()) return problem;
  }
  return check(steps.front(), steps.back(), kOverLimit);
}

/// Iterations done between two moments, each part of one by its time.
double iterations_between(std::span<const IterationSpan> iterations, double from, double to) {
  double sum = 0.0;
  for (const IterationSpan& span : iterations) {
    const double length = span.end - span.begin;
    const double inside = std::min(span.end, to) - std::max(span.begin, from);
    if (inside > 0.0 && length > 0.0) sum += inside / length;
  }
  return sum;
}

EnergyWindow window_between(std::span<const CounterReading> readings, double begin, double end,
                            const WindowRules& rules) {
  EnergyWindow window;
  const auto fail = [&](std::string problem) {
    window.problem = std::move(problem);
    return window;
  };
  const auto [all, backwards] = find_steps(readings);
  if (!backwards.empty()) return fail(backwards);
  const double seen_until = readings.empty() ? begin : std::min(end, readings.back().seconds);
  const double pause = longest_pause(all, begin, seen_until);
  if (pause > rules.stall_seconds) {
    return fail(fmt::format("the counter stood still for {:.2g} s", pause));
  }
  std::vector<Step> steps;
  std::ranges::copy_if(all, std::back_inserter(steps), [&](const Step& step) {
    return step.seconds >= begin && step.seconds <= end;
  });
  const int usable = static_cast<int>(steps.size()) - rules.settling_steps - 1;
  if (usable < rules.min_steps) {
    return fail(fmt::format("the counter moved {} times, {} are needed", steps.size(),
                            rules.min_steps + rules.settling_steps + 1));
  }
  steps.erase(steps.begin(), steps.begin() + rules.settling_steps);
  window.steps = usable;
  window.begin = steps.front().seconds;
  window.end = steps.back().seconds;
  window.joules = steps.back().joules - steps.front().joules;
  window.problem = too_much_power(steps, rules.limit_watts);
  return window;
}

}  // namespace

EnergyWindow energy_window(std::span<const CounterReading> readings,
                           std::span<const IterationSpan> iterations, const WindowRules& rules) {
  if (iterations.empty()) return {.problem = "nothing ran in the window"};
  EnergyWindow window =
      window_between(readings, iterations.front().begin, iterations.back().end, rules);
  window.iterations = iterations_between(iterations, window.begin, window.end);
  return window;
}

EnergyWindow idle_window(std::span<const CounterReading> readings, const WindowRules& rules) {
  if (readings.empty()) return {.problem = "the counter was not read"};
  return window_between(readings, readings.front().seconds, readings.back().seconds, rules);
}

}  // namespace assay::measure
