#include "measure/metering.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <thread>

#include "measure/bench.h"
#include "measure/fake_machine.h"

namespace assay::measure {
namespace {

using testing::FakeGpus;

/// A device whose power is set by the test; its counter moves every 50 ms.
class Power {
 public:
  void set(double watts) {
    const std::lock_guard lock(mutex_);
    joules_ = joules_at(clock_seconds());
    since_ = clock_seconds();
    watts_ = watts;
  }
  /// The counter as the last step left it.
  [[nodiscard]] double counter() {
    const std::lock_guard lock(mutex_);
    const double now = std::floor(clock_seconds() / kStep) * kStep;
    told_ = std::max(told_, joules_at(std::max(now, since_)));
    return told_ + fault_joules_;
  }
  void add(double joules) {
    const std::lock_guard lock(mutex_);
    fault_joules_ += joules;
  }

 private:
  static constexpr double kStep = 0.05;
  [[nodiscard]] double joules_at(double time) const { return joules_ + watts_ * (time - since_); }

  std::mutex mutex_;
  double joules_ = 0.0;
  double since_ = clock_seconds();
  double watts_ = 30.0;
  double told_ = 0.0;
  double fault_joules_ = 0.0;
};

class PowerMeter : public EnergyMeter {
 public:
  PowerMeter(std::shared_ptr<Power> power, int reads_until_broken = 1 << 30)
      : power_(std::move(power)), left_(reads_until_broken) {}
  [[nodiscard]] const MeterInfo& info() const override { return info_; }
  [[nodiscard]] double read() override {
    if (--left_ < 0) fail(ErrorCode::io, "the meter fell off");
    return power_->counter();
  }

 private:
  std::shared_ptr<Power> power_;
  int left_;
  MeterInfo info_{.name = "made up", .covers = "nothing", .limit_watts = 1000};
};

std::vector<WatchedDevice> watched(std::unique_ptr<EnergyMeter> meter) {
  std::vector<WatchedDevice> devices;
  devices.push_back({.device = {}, .meter = std::move(meter)});
  return devices;
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// 130 W at work and 30 W idle. How long an iteration takes depends on the machine; power, and what
/// the figures say of each other, do not.
TEST(Metering, GrossAndNetOfTheSameIterationsAsTheTime) {
  const auto power = std::make_shared<Power>();
  Metering metering(watched(std::make_unique<PowerMeter>(power)));
  metering.measure_idle({});
  power->set(130.0);
  int checks = 0;
  const Timing timing = time_iterations(
      {.warmup = 0, .iterations = 30},
      {.iteration = [] { sleep_for(0.004); }, .after = [&] { ++checks; }}, &metering);
  const Json gross = metering.gross(4.0, "J/sample");
  const Json net = metering.net(4.0, "J/sample");
  ASSERT_TRUE(gross["value"].is_number()) << gross;
  EXPECT_EQ(gross["unit"], "J/sample");
  EXPECT_EQ(gross["meter"], "made up");
  EXPECT_EQ(gross["windows"].size(), 3U);
  EXPECT_GE(gross["steps"].get<int>(), 60);
  EXPECT_GT(timing.seconds.size(), 30U) << "iterations went on until the counter had moved enough";
  EXPECT_EQ(timing.asked, 30);
  EXPECT_LT(gross["iterations"].get<double>(), double(timing.seconds.size()));
  const double seconds = gross["seconds"].get<double>();
  const double iterations = gross["iterations"].get<double>();
  EXPECT_NEAR(gross["watts"].get<double>(), 130.0, 6.5);
  EXPECT_NEAR(gross["value"].get<double>() * 4 * iterations, gross["watts"].get<double>() * seconds,
              1e-6);
  EXPECT_NEAR(net["idle_watts"].get<double>(), 30.0, 3.0);
  EXPECT_NEAR(net["value"].get<double>() * 4 * iterations,
              (gross["watts"].get<double>() - net["idle_watts"].get<double>()) * seconds, 1e-6);
  EXPECT_GT(gross["error"].get<double>(), 0.0);
  EXPECT_GT(net["error"].get<double>(), gross["error"].get<double>());
  EXPECT_EQ(timing.checked, checks);
  EXPECT_GE(checks, 3) << "behind each window";
}

std::string reason_of(Metering& metering) {
  std::ignore = time_iterations({.warmup = 0, .iterations = 3},
                                {.iteration = [] { sleep_for(0.004); }}, &metering);
  const Json gross = metering.gross(1.0, "J/sample");
  EXPECT_TRUE(gross["value"].is_null()) << gross;
  EXPECT_TRUE(metering.net(1.0, "J/sample")["value"].is_null());
  return gross.value("reason", "");
}

TEST(Metering, AMeterThatBreaksGivesNoFigureButTheTimes) {
  Metering metering(watched(std::make_unique<PowerMeter>(std::make_shared<Power>(), 30)));
  EXPECT_EQ(reason_of(metering), "the meter fell off");
}

TEST(Metering, ACounterThatFallsGivesNoFigure) {
  const auto power = std::make_shared<Power>();
  Metering metering(watched(std::make_unique<PowerMeter>(power)));
  std::jthread saboteur([&] {
    sleep_for(0.4);
    power->add(-100.0);
  });
  EXPECT_NE(reason_of(metering).find("backwards"), std::string::npos);
}

TEST(Metering, ACounterThatStandsStillGivesNoFigureAndEnds) {
  const auto power = std::make_shared<Power>();
  power->set(0.0);
  Metering metering(watched(std::make_unique<PowerMeter>(power)));
  EXPECT_NE(reason_of(metering).find("stood still"), std::string::npos);
}

TEST(Metering, MorePowerThanThereCanBeGivesNoFigure) {
  const auto power = std::make_shared<Power>();
  power->set(1500.0);
  Metering metering(watched(std::make_unique<PowerMeter>(power)));
  EXPECT_NE(reason_of(metering).find("the device can draw 1000 W"), std::string::npos);
}

TEST(Metering, WithoutAMeterTheReasonStands) {
  std::vector<WatchedDevice> devices;
  devices.push_back({.device = {}, .reason = "no counter here"});
  Metering metering(std::move(devices));
  metering.measure_idle({});
  EXPECT_EQ(metering.windows(), 1);
  EXPECT_EQ(reason_of(metering), "no counter here");
  EXPECT_TRUE(metering.conditions().is_null());
}

TEST(Metering, OneDeviceWithoutAMeterLeavesNoSum) {
  auto devices = watched(std::make_unique<PowerMeter>(std::make_shared<Power>()));
  devices.push_back({.device = {.kind = tensor::DeviceKind::cuda, .index = 1}, .reason = "MIG"});
  Metering metering(std::move(devices));
  EXPECT_EQ(reason_of(metering), "cuda:1: MIG");
}

/// The real path to a GPU's meter, through the made-up library.
Metering metering_of_gpu() {
  std::vector<WatchedDevice> devices;
  devices.push_back(watch({.kind = tensor::DeviceKind::cuda, .index = 0}));
  return Metering(std::move(devices));
}

TEST(Metering, AGpuIsReadAndWatched) {
  const FakeGpus machine("watts=300;step=100;throttle=4;foreign=4242");
  Metering metering = metering_of_gpu();
  metering.measure_idle({});
  std::ignore = time_iterations({.warmup = 0, .iterations = 3},
                                {.iteration = [] { sleep_for(0.004); }}, &metering);
  const Json gross = metering.gross(1.0, "J/sample");
  ASSERT_TRUE(gross["value"].is_number()) << gross;
  EXPECT_NEAR(gross["watts"].get<double>(), 300.0, 15.0);
  EXPECT_NEAR(gross["error"].get<double>(),
              gross["value"].get<double>() / (gross["steps"].get<double>() / 3), 1e-9);
  const Json conditions = metering.conditions();
  ASSERT_EQ(conditions.size(), 1U);
  EXPECT_EQ(conditions[0]["device"], "cuda:0");
  EXPECT_EQ(conditions[0]["uuid"], "GPU-00000000-fake");
  EXPECT_EQ(conditions[0]["sm_mhz"], Json({1980, 1980}));
  EXPECT_EQ(metering.marks(),
            (std::vector<std::string>{"cuda:0 was throttled meanwhile: power cap",
                                      "cuda:0 was shared meanwhile: process 4242 computed on it"}));
  metering.forget_windows();
  EXPECT_TRUE(metering.marks().empty());
}

TEST(Metering, FaultyGpuCountersGiveReasons) {
  const auto reason = [](const std::string& settings) {
    const FakeGpus machine(settings);
    Metering metering = metering_of_gpu();
    return reason_of(metering);
  };
  EXPECT_NE(reason("step=20;energy=backward").find("backwards"), std::string::npos);
  EXPECT_NE(reason("step=20;energy=stalled").find("stood still"), std::string::npos);
  EXPECT_NE(reason("step=20;energy=wild").find("can draw 700 W"), std::string::npos);
  EXPECT_NE(reason("energy=unsupported").find("Not Supported"), std::string::npos);
  EXPECT_NE(reason("mig=1").find("MIG"), std::string::npos);
}

}  // namespace
}  // namespace assay::measure
