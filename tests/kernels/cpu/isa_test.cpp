#include "kernels/cpu/isa.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/error.h"

namespace assay::kernels::cpu {
namespace {

CpuFeatures everything() {
  CpuFeatures f;
  f.avx2 = f.avx512 = f.vnni = f.bf16 = f.amx_int8 = f.amx_bf16 = true;
  return f;
}

TEST(Isa, EachRowNeedsTheRowsBelow) {
  CpuFeatures f = everything();
  EXPECT_TRUE(has(Isa::amx, f));
  f.amx_bf16 = false;
  EXPECT_FALSE(has(Isa::amx, f));
  EXPECT_TRUE(has(Isa::avx512_vnni_bf16, f));
  f.bf16 = false;
  EXPECT_FALSE(has(Isa::avx512_vnni_bf16, f));
  EXPECT_TRUE(has(Isa::avx512, f));
  f.avx2 = false;
  EXPECT_FALSE(has(Isa::avx512, f));
  EXPECT_TRUE(has(Isa::portable, f));
}

/// The kernel's own list of flags, as a second opinion on cpuid.
TEST(Isa, FeaturesAgreeWithTheOperatingSystem) {
  std::ifstream file("/proc/cpuinfo");
  std::string flags;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) == 0) flags = line + " ";
  }
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no flags here";
  const auto listed = [&](const std::string& name) {
    return flags.find(" " + name + " ") != std::string::npos;
  };
  const CpuFeatures& f = cpu_features();
  EXPECT_EQ(f.avx2, listed("avx2") && listed("fma") && listed("f16c") && listed("bmi2"));
  EXPECT_EQ(f.avx512, f.avx2 && listed("avx512f") && listed("avx512bw") && listed("avx512vl") &&
                          listed("avx512dq") && listed("avx512cd"));
  EXPECT_EQ(f.vnni, f.avx512 && listed("avx512_vnni"));
  EXPECT_EQ(f.bf16, f.avx512 && listed("avx512_bf16"));
  EXPECT_EQ(f.amx_int8, listed("amx_int8"));
  EXPECT_FALSE(f.name.empty());
}

TEST(Isa, ForcingLimitsHighwayToo) {
  const Isa before = active_isa();
  for (const Isa isa : available_isas()) {
    force_isa(isa);
    EXPECT_EQ(active_isa(), isa);
    const std::int64_t targets = hwy::SupportedTargets();
    EXPECT_EQ((targets & HWY_AVX3) != 0, isa >= Isa::avx512) << name_of(isa);
    EXPECT_EQ((targets & HWY_AVX2) != 0, isa >= Isa::avx2) << name_of(isa);
  }
  force_isa(before);
}

TEST(Isa, AbsentIsAnError) {
  const std::vector<Isa> there = available_isas();
  if (there.back() == Isa::amx) GTEST_SKIP() << "every instruction set is available here";
  const auto absent = static_cast<Isa>(static_cast<int>(there.back()) + 1);
  try {
    force_isa(absent);
    FAIL() << "an absent instruction set was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device_missing);
    EXPECT_NE(std::string(error.what()).find(name_of(absent)), std::string::npos);
  }
}

[[noreturn]] void report_active_isa(const char* wanted) {
  ::setenv("ASSAY_CPU_ISA", wanted, 1);
  try {
    std::fprintf(stderr, "active %s\n", std::string(name_of(active_isa())).c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::exit(exit_code(error.code()));
  }
  std::exit(0);
}

// The variable is read once, so each case needs a process of its own.
TEST(IsaDeathTest, EnvironmentVariable) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(report_active_isa("portable"), testing::ExitedWithCode(0), "active portable");
  EXPECT_EXIT(report_active_isa("sse9"), testing::ExitedWithCode(2), "sse9.*known are");
  if (has(Isa::avx2, cpu_features())) {
    EXPECT_EXIT(report_active_isa("avx2"), testing::ExitedWithCode(0), "active avx2");
  }
  if (!has(Isa::amx, cpu_features())) {
    EXPECT_EXIT(report_active_isa("amx"), testing::ExitedWithCode(69), "amx is not available");
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
