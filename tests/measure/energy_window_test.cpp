#include "measure/energy_window.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace assay::measure {
namespace {

/// A device that draws `watts`, whose counter is brought up to date every `step` seconds, `phase`
/// after zero, and read every `interval`.
struct Counter {
  double watts = 100.0;
  double step = 0.1;
  double phase = 0.0;
  double interval = 0.005;

  [[nodiscard]] std::vector<CounterReading> read(double from, double to) const {
    std::vector<CounterReading> readings;
    for (double t = from; t < to; t += interval) {
      readings.push_back({t, watts * (std::floor((t - phase) / step) * step + phase)});
    }
    return readings;
  }
};

/// Iterations of equal length without pause.
std::vector<IterationSpan> work(double begin, double length, int count) {
  std::vector<IterationSpan> spans;
  for (int i = 0; i < count; ++i) {
    spans.push_back({begin + i * length, begin + (i + 1) * length});
  }
  return spans;
}

TEST(EnergyWindow, JoulesBetweenStepsOverIterationsBetweenThem) {
  // 100 W and iterations of 30 ms: 3 J each, whatever the phases are.
  for (const double phase : {0.0, 0.013, 0.05, 0.09}) {
    const Counter counter{.phase = phase};
    const auto window = energy_window(counter.read(10.0, 14.0), work(10.51, 0.03, 100), {});
    ASSERT_EQ(window.problem, "");
    EXPECT_GE(window.steps, 20);
    EXPECT_NEAR(window.seconds(), window.steps * 0.1, 0.005);
    EXPECT_NEAR(window.joules, window.steps * 10.0, 1e-6);
    // Steps are placed to within a reading, 5 ms of at least 2 s at both ends.
    EXPECT_NEAR(window.joules / window.iterations, 3.0, 3.0 * 0.005 / 2.0);
    EXPECT_NEAR(window.step_joules(), 10.0, 1e-6);
    EXPECT_NEAR(window.watts(), 100.0, 0.25);
  }
}

TEST(EnergyWindow, PartsOfIterationsCountByTheirTime) {
  // Iterations of 0.7 s: both ends of the window cut through one.
  const auto window = energy_window(Counter{}.read(0.0, 9.0), work(0.22, 0.7, 10), {});
  ASSERT_EQ(window.problem, "");
  EXPECT_NEAR(window.iterations, window.seconds() / 0.7, 1e-9);
  EXPECT_NE(window.iterations, std::round(window.iterations));
}

TEST(EnergyWindow, PausesBetweenIterationsBelongToTheEnergyAndToNoIteration) {
  std::vector<IterationSpan> spans;
  for (int i = 0; i < 60; ++i) spans.push_back({i * 0.05, i * 0.05 + 0.04});
  const auto window = energy_window(Counter{}.read(0.0, 4.0), spans, {});
  ASSERT_EQ(window.problem, "");
  EXPECT_NEAR(window.joules / window.iterations, 5.0, 0.05);
}

TEST(EnergyWindow, WhatRanBeforeTheWorkIsLeftOut) {
  // 50 W until second 1, then 300 W, with a counter that tells each 0.1 s afterwards.
  std::vector<CounterReading> readings;
  for (double t = 0.0; t < 4.5; t += 0.005) {
    const double told = std::floor(t / 0.1) * 0.1;
    readings.push_back({t, told < 1.0 ? 50 * told : 50 + 300 * (told - 1.0)});
  }
  const auto window = energy_window(readings, work(0.97, 0.01, 300), {});
  ASSERT_EQ(window.problem, "");
  EXPECT_NEAR(window.watts(), 300.0, 1.0) << "the step at 1.0 still holds idle time";
}

TEST(EnergyWindow, ACounterThatMovesWithEveryReadingIsTaken) {
  const Counter counter{.step = 0.001};
  const auto window = energy_window(counter.read(0.0, 1.0), work(0.1, 0.002, 400), {});
  ASSERT_EQ(window.problem, "");
  EXPECT_NEAR(window.joules / window.iterations, 0.2, 0.2 * 0.005 / 0.7);
}

TEST(EnergyWindow, TooFewStepsAreNoFigure) {
  const auto window = energy_window(Counter{}.read(0.0, 2.0), work(0.0, 0.01, 154), {});
  EXPECT_EQ(window.problem, "the counter moved 15 times, 22 are needed");
  EXPECT_EQ(energy_window(Counter{}.read(0.0, 2.0), {}, {}).problem, "nothing ran in the window");
  EXPECT_EQ(energy_window({}, work(0.0, 0.01, 150), {}).problem,
            "the counter moved 0 times, 22 are needed");
}

TEST(EnergyWindow, ABackwardCounterIsRejected) {
  auto readings = Counter{}.read(0.0, 5.0);
  readings[600].joules -= 20.0;
  const auto window = energy_window(readings, work(0.0, 0.01, 480), {});
  EXPECT_NE(window.problem.find("backwards"), std::string::npos) << window.problem;
}

TEST(EnergyWindow, AStalledCounterIsRejected) {
  auto readings = Counter{}.read(0.0, 8.0);
  const auto spans = work(0.0, 0.01, 790);
  for (std::size_t i = 1; i < readings.size(); ++i) {
    const double t = readings[i].seconds;
    if (t > 3.05 && t < 5.55) readings[i].joules = readings[i - 1].joules;
  }
  EXPECT_EQ(energy_window(readings, spans, {}).problem, "the counter stood still for 2.5 s")
      << "from 3.0 to 5.55 s";
  for (auto& reading : readings) reading.joules = std::min(reading.joules, 300.0);
  EXPECT_EQ(energy_window(readings, spans, {}).problem, "the counter stood still for 4.9 s")
      << "from 3.0 to the end of the work at 7.9 s";
  for (auto& reading : readings) reading.joules = 7.0;
  EXPECT_EQ(energy_window(readings, spans, {}).problem, "the counter stood still for 7.9 s");
}

TEST(EnergyWindow, MoreThanTheDeviceCanDrawIsRejected) {
  const auto readings = Counter{.watts = 720}.read(0.0, 5.0);
  const auto spans = work(0.0, 0.01, 480);
  EXPECT_EQ(energy_window(readings, spans, {.limit_watts = 700}).problem, "")
      << "a regulator overshoots";
  const auto rejected = energy_window(readings, spans, {.limit_watts = 500}).problem;
  EXPECT_NE(rejected.find("W, the device can draw 500 W"), std::string::npos) << rejected;
}

TEST(EnergyWindow, AJumpInsideAWindowIsRejected) {
  auto readings = Counter{}.read(0.0, 30.0);
  for (auto& reading : readings) {
    if (reading.seconds > 9.0) reading.joules += 400.0;  // 4 kW in one step, 113 W on average
  }
  const auto window = energy_window(readings, work(0.0, 0.01, 2990), {.limit_watts = 700});
  EXPECT_NE(window.problem.find("the device can draw 700 W"), std::string::npos) << window.problem;
}

/// Iterations exactly as long as the counter's step: each window's start has its own phase, and all
/// must agree within the error that is told.
TEST(EnergyWindow, ShiftedStartsAgreeWithinOneStep) {
  for (int shift = 0; shift < 3; ++shift) {
    const double begin = 1.0 + shift * 0.1 / 3;
    const auto window = energy_window(Counter{}.read(0.0, 6.0), work(begin, 0.1, 30), {});
    ASSERT_EQ(window.problem, "");
    EXPECT_NEAR(window.joules / window.iterations, 10.0, window.step_joules() / window.iterations);
  }
}

TEST(IdleWindow, IsThePowerBetweenSteps) {
  const auto window = idle_window(Counter{.watts = 75}.read(3.0, 5.0), {.min_steps = 10});
  ASSERT_EQ(window.problem, "");
  EXPECT_NEAR(window.watts(), 75.0, 0.5);
  EXPECT_EQ(window.iterations, 0.0);
  EXPECT_NE(idle_window({}, {}).problem, "");
}

}  // namespace
}  // namespace assay::measure
