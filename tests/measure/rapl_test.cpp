#include "measure/rapl.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"

namespace assay::measure {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

/// A powercap tree as the kernel shows it, of two packages with cores and memory each.
class Powercap : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string package : {"0", "1"}) {
      zone("intel-rapl:" + package, "package-" + package, 1'000'000, 300'000'000);
      zone("intel-rapl:" + package + ":0", "core", 5'000'000, 0);
      zone("intel-rapl:" + package + ":1", "dram", 2'000'000, 50'000'000);
    }
    zone("intel-rapl:2", "psys", 900'000'000, 0);
    zone("intel-rapl-mmio:0", "package-0", 900'000'000, 0);
  }
  void zone(const std::string& id, const std::string& name, std::int64_t energy,
            std::int64_t limit) {
    folder_.write(id + "/name", name + "\n");
    folder_.write(id + "/max_energy_range_uj", "262143328850\n");
    folder_.write(id + "/constraint_0_power_limit_uw", std::to_string(limit / 2) + "\n");
    folder_.write(id + "/constraint_1_power_limit_uw", std::to_string(limit) + "\n");
    set(id, energy);
  }
  void set(const std::string& id, std::int64_t energy) {
    folder_.write(id + "/energy_uj", std::to_string(energy) + "\n");
  }
  std::unique_ptr<EnergyMeter> open() {
    auto [meter, reason] = open_rapl(folder_.path());
    if (!meter) throw std::runtime_error(reason);
    return std::move(meter);
  }

  ScratchFolder folder_;
};

TEST_F(Powercap, SumsPackagesAndMemoryAndNothingTwice) {
  const auto meter = open();
  EXPECT_EQ(meter->info().name, "RAPL package-0 + dram + package-1 + dram");
  EXPECT_DOUBLE_EQ(meter->info().limit_watts, 700.0);
  EXPECT_DOUBLE_EQ(meter->read(), 0.0);
  set("intel-rapl:0", 4'000'000);
  set("intel-rapl:1", 2'000'000);
  set("intel-rapl:0:1", 2'500'000);
  set("intel-rapl:0:0", 9'000'000);
  set("intel-rapl:2", 990'000'000);
  set("intel-rapl-mmio:0", 990'000'000);
  EXPECT_DOUBLE_EQ(meter->read(), 3.0 + 1.0 + 0.5);
}

TEST_F(Powercap, ACounterWrapsAround) {
  set("intel-rapl:0", 262143328850 - 1'500'000);
  const auto meter = open();
  set("intel-rapl:0", 500'000);
  EXPECT_DOUBLE_EQ(meter->read(), 2.0);
  set("intel-rapl:0", 1'500'000);
  EXPECT_DOUBLE_EQ(meter->read(), 3.0);
}

TEST_F(Powercap, ACounterThatFallsALittleDidNotWrap) {
  const auto meter = open();
  set("intel-rapl:0", 400'000);
  EXPECT_DOUBLE_EQ(meter->read(), -0.6) << "whoever reads it sees that it went backwards";
}

TEST_F(Powercap, WithoutLimitsThereIsNone) {
  folder_.write("intel-rapl:0:1/constraint_0_power_limit_uw", "0\n");
  folder_.write("intel-rapl:0:1/constraint_1_power_limit_uw", "0\n");
  EXPECT_EQ(open()->info().limit_watts, std::numeric_limits<double>::infinity());
}

TEST_F(Powercap, WhatCannotBeReadIsAReason) {
  const auto file = folder_.path() / "intel-rapl:1/energy_uj";
  std::filesystem::remove(file);
  auto choice = open_rapl(folder_.path());
  EXPECT_FALSE(choice.meter);
  EXPECT_NE(choice.reason.find(file.string() + " cannot be read"), std::string::npos)
      << choice.reason;
  folder_.write("intel-rapl:1/energy_uj", "many\n");
  EXPECT_NE(open_rapl(folder_.path()).reason.find("no number"), std::string::npos);
}

TEST_F(Powercap, ACounterThatVanishesLaterIsAnError) {
  const auto meter = open();
  folder_.write("intel-rapl:0/energy_uj", "");
  expect_error(ErrorCode::io, {"intel-rapl:0/energy_uj", "no number"},
               [&] { std::ignore = meter->read(); });
}

TEST(Rapl, AMachineWithoutItSaysSo) {
  const ScratchFolder empty;
  EXPECT_NE(open_rapl(empty.path() / "none").reason.find("is not there"), std::string::npos);
  EXPECT_NE(open_rapl(empty.path()).reason.find("no package"), std::string::npos);
}

}  // namespace
}  // namespace assay::measure
