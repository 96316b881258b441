// What one reading of a device's energy counter costs, and how often the counter moves:
//
//   meter_bench cuda:0 [seconds]
//
// The counter is read without pause, so that a step is placed within the time of one reading.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "engine/planner.h"
#include "measure/meter.h"

namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

void print(const char* what, std::vector<double> values, const char* unit) {
  if (values.empty()) {
    fmt::print("{}: none\n", what);
    return;
  }
  std::ranges::sort(values);
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
  };
  fmt::print("{}: {} of them; median {:.1f} {}, from {:.1f}, 99 % under {:.1f}, at most {:.1f}\n",
             what, values.size(), at(0.5), unit, at(0.0), at(0.99), at(1.0));
}

void measure(assay::measure::EnergyMeter& meter, double seconds) {
  std::vector<double> readings, steps, joules;
  const auto begin = Clock::now();
  double last = meter.read();
  Clock::time_point moved{};
  for (auto now = Clock::now(); microseconds(now - begin) < seconds * 1e6;) {
    const double value = meter.read();
    const auto after = Clock::now();
    readings.push_back(microseconds(after - now));
    if (value != last) {
      if (moved != Clock::time_point{}) {  // the first step has no beginning
        steps.push_back(microseconds(after - moved) / 1e3);
        joules.push_back(value - last);
      }
      moved = after;
      last = value;
    }
    now = after;
  }
  fmt::print("{}\n", meter.info().name);
  print("a reading", readings, "us");
  print("between steps", steps, "ms");
  print("a step", joules, "J");
}

}  // namespace

int main(int argc, char** argv) try {
  const auto device = assay::engine::resolve_device(argc > 1 ? argv[1] : "cpu");
  const auto [meter, reason] = assay::measure::open_meter(device);
  if (!meter) {
    fmt::print("no meter: {}\n", reason);
    return 1;
  }
  measure(*meter, argc > 2 ? std::atof(argv[2]) : 5.0);
  return 0;
} catch (const std::exception& error) {
  fmt::print("{}\n", error.what());
  return 1;
}
