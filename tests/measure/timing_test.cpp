#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/progress.h"
#include "measure/bench.h"
#include "measure/environment.h"
#include "measure/fake_machine.h"

namespace assay::measure {
namespace {

TEST(Timing, RateAndLatencyOfKnownSamples) {
  const Timing timing{.seconds = {0.5, 0.25, 1.0}};
  const Json rate = timing.rate(100.0, "tokens/s");
  EXPECT_DOUBLE_EQ(rate["value"], 200.0);
  EXPECT_DOUBLE_EQ(rate["p50"], 200.0);
  EXPECT_NEAR(rate["mean"].get<double>(), (200.0 + 400.0 + 100.0) / 3, 1e-9);
  EXPECT_EQ(rate["n"], 3);
  const Json latency = timing.latency(2.0, "ms");
  EXPECT_DOUBLE_EQ(latency["value"], 250.0);
  EXPECT_EQ(latency["unit"], "ms");
  EXPECT_LE(latency["ci95"][0].get<double>(), 250.0);
  EXPECT_GE(latency["ci95"][1].get<double>(), 250.0);
}

TEST(Timing, RunsWarmUpsAndIterationsAsAsked) {
  int calls = 0;
  int checks = 0;
  const Timing timing = time_iterations(
      {.warmup = 1, .iterations = 4}, {.iteration = [&] { ++calls; }, .after = [&] { ++checks; }});
  EXPECT_EQ(timing.seconds.size(), 4U);
  EXPECT_EQ(calls, 4 + timing.warmup);
  EXPECT_EQ(checks, 4);
  EXPECT_GE(timing.warmup, 1);
}

TEST(Timing, WarmUpLastsUntilTwoInARowAreAlike) {
  // Of 240, 160, 80, 80 ms the last two are alike.
  const double seconds[] = {0.24, 0.16, 0.08};
  int calls = 0;
  const auto shrinking = [&] {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds[std::min(calls++, 2)]));
  };
  const Timing timing = time_iterations({.warmup = 2, .iterations = 1}, {.iteration = shrinking});
  EXPECT_GE(timing.warmup, 4) << "the count was reached at 2, the pace was not steady before 4";
  EXPECT_LE(timing.warmup, 8);
}

TEST(Timing, WarmUpEndsWhereNothingIsSteady) {
  int calls = 0;
  const auto erratic = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(calls++ % 2 == 0 ? 1 : 100));
  };
  const Timing timing = time_iterations({.warmup = 1, .iterations = 1}, {.iteration = erratic});
  EXPECT_EQ(timing.warmup, 4);
  EXPECT_FALSE(timing.steady);
}

TEST(Timing, GoesOnUntilTheTimeIsReached) {
  const Timing timing =
      time_iterations({.warmup = 0, .iterations = 1, .min_seconds = 0.02}, {.iteration = [] {}});
  double total = 0.0;
  for (const double s : timing.seconds) total += s;
  EXPECT_GE(total, 0.02);
  EXPECT_EQ(timing.warmup, 0);
}

TEST(Environment, NamesMachineAndSaysWhyThereIsNoMeter) {
  const testing::FakeGpus machine_without_gpus("", "/nowhere/libnvidia-ml.so.1");
  const testing::Variable no_rapl("ASSAY_POWERCAP_ROOT", "/nowhere/powercap");
  const Json machine = environment();
  EXPECT_FALSE(machine["cpu"].get<std::string>().empty());
  EXPECT_GT(machine["memory_bytes"].get<std::int64_t>(), 0);
  EXPECT_FALSE(machine["isa"].get<std::string>().empty());
  EXPECT_TRUE(machine["energy_meters"]["cpu"]["value"].is_null());
  EXPECT_NE(machine["energy_meters"]["cpu"]["reason"].get<std::string>().find("RAPL"),
            std::string::npos);
  EXPECT_TRUE(machine["gpu"]["value"].is_null());
  EXPECT_FALSE(machine["gpu"]["reason"].get<std::string>().empty());
}

TEST(Environment, PeakMemoryGrowsWithUse) {
  const std::int64_t before = peak_resident_bytes();
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const tensor::Buffer buffer(kBytes, true);
  EXPECT_GE(peak_resident_bytes(), before + static_cast<std::int64_t>(kBytes / 2));
  EXPECT_GT(available_memory_bytes(), 0);
}

}  // namespace
}  // namespace assay::measure
