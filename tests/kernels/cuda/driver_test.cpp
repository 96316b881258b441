#include "kernels/cuda/driver.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/error.h"

namespace assay::kernels::cuda {
namespace {

/// What the probe prints in a process with these settings, beside the fake libraries if asked.
std::string probe(const std::string& settings, bool fake = true) {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string command = "env -u CUDA_VISIBLE_DEVICES -u ASSAY_CUDA_PATH ";
  if (fake) command += "LD_LIBRARY_PATH=" + (here / "fake_cuda").string() + " ";
  command += settings + " " + (here / "cuda_probe").string() + " 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  std::array<char, 256> part;
  while (fgets(part.data(), part.size(), pipe.get()) != nullptr) output += part.data();
  return output;
}

std::string weakest() { return std::string(name_of(compiled_paths().front())); }
/// A capability that the weakest compiled path runs on, as "75:".
std::string its_device() {
  return compiled_paths().front() == Path::sm75   ? "75:Fake T4"
         : compiled_paths().front() == Path::sm80 ? "80:Fake A100"
                                                  : "90:Fake H200";
}

using Paths = std::vector<Path>;

TEST(CudaPath, TheStrongestThatRunsIsChosen) {
  const Paths all = {Path::sm75, Path::sm80, Path::sm90};
  struct Case {
    int capability;
    Paths compiled;
    std::string forced;
    std::string expected;
  };
  const Case cases[] = {
      {75, all, "", "sm75"},
      {80, all, "", "sm80"},
      {86, all, "", "sm80"},
      {89, all, "", "sm80"},
      {90, all, "", "sm90"},
      {100, all, "", "sm80"},  // 90a is machine code for 9.0 alone
      {120, all, "", "sm80"},
      {90, {Path::sm75, Path::sm80}, "", "sm80"},
      {90, {Path::sm75}, "", "sm75"},
      {90, all, "sm75", "sm75"},
      {90, all, "sm80", "sm80"},
      {70, all, "", ""},
      {75, {Path::sm80, Path::sm90}, "", ""},
      {120, {Path::sm90}, "", ""},
      {75, all, "sm80", ""},
      {80, all, "sm90", ""},
  };
  for (const Case& c : cases) {
    Path path = Path::sm75;
    std::string why;
    const bool found = choose_path(c.capability, c.compiled, c.forced, &path, &why);
    EXPECT_EQ(found ? std::string(name_of(path)) : "", c.expected)
        << c.capability << " " << c.forced << why;
    EXPECT_EQ(found, why.empty());
  }
}

TEST(CudaDriver, TooOldIsOneLineThatSaysAll) {
  const std::string output =
      probe("FAKE_CUDA_VERSION=11040 FAKE_CUDA_DEVICES='" + its_device() + "'");
  const std::string needed = std::to_string(CUDART_VERSION / 1000) + ".0";
  EXPECT_EQ(output.find("unavailable: the NVIDIA driver "), 0U) << output;
  EXPECT_NE(output.find(" is too old: it supports CUDA 11.4, this build needs CUDA " + needed +
                        "; update the driver"),
            std::string::npos)
      << output;
  // With a real driver's module loaded its release is told, else that of the (fake) NVML.
  if (!std::filesystem::exists("/proc/driver/nvidia/version"))
    EXPECT_NE(output.find("driver 470.82.01 is"), std::string::npos) << output;
  EXPECT_NE(output.find("device 0: cuda:0: the NVIDIA driver"), std::string::npos) << output;
}

TEST(CudaDriver, AnyDriverOfTheSameMajorVersionWillDo) {
  const std::string version = std::to_string(CUDART_VERSION / 1000 * 1000);
  const std::string output =
      probe("FAKE_CUDA_VERSION=" + version + " FAKE_CUDA_DEVICES='" + its_device() + "'");
  EXPECT_EQ(output.find("unavailable: \n0: Fake "), 0U) << output;
}

TEST(CudaDriver, DevicesAreDescribed) {
  const std::string output =
      probe("FAKE_CUDA_DEVICES='" + its_device() + ";" + its_device() + " MIG 1g.10gb;61:Old'");
  EXPECT_NE(output.find("GPU-a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"), std::string::npos) << output;
  EXPECT_NE(output.find(" MIG 1g.10gb, MIG-a1a2a3a4-"), std::string::npos) << output;
  EXPECT_NE(output.find("device 2: cuda:2 (Old) has compute capability 6.1: this build has code"),
            std::string::npos)
      << output;
}

TEST(CudaDriver, NoDeviceNamesWhatHidesThem) {
  EXPECT_EQ(probe("CUDA_VISIBLE_DEVICES= FAKE_CUDA_INIT=100")
                .find("unavailable: no CUDA device is visible (CUDA_VISIBLE_DEVICES is '')\n"),
            0U);
  EXPECT_EQ(probe("CUDA_VISIBLE_DEVICES=7 FAKE_CUDA_DEVICES=")
                .find("unavailable: no CUDA device is visible (CUDA_VISIBLE_DEVICES is '7')\n"),
            0U);
  EXPECT_EQ(probe("FAKE_CUDA_INIT=100").find("unavailable: no CUDA device is visible\n"), 0U);
}

TEST(CudaDriver, AFailingDriverIsQuoted) {
  EXPECT_EQ(probe("FAKE_CUDA_INIT=803")
                .find("unavailable: the NVIDIA driver does not start: words of the fake driver "
                      "(error 803)\n"),
            0U);
}

TEST(CudaDriver, ForcedPaths) {
  const std::string device = " FAKE_CUDA_DEVICES='" + its_device() + "'";
  EXPECT_NE(probe("ASSAY_CUDA_PATH=" + weakest() + device).find(", " + weakest() + "\n"),
            std::string::npos);
  EXPECT_EQ(probe("ASSAY_CUDA_PATH=sm42" + device).find("error 2: ASSAY_CUDA_PATH=sm42: "), 0U);
  EXPECT_EQ(probe("ASSAY_CUDA_PATH=" + weakest() + " FAKE_CUDA_DEVICES=61:Old")
                .find("error 2: ASSAY_CUDA_PATH=" + weakest() + ": cuda:0 (Old) has "),
            0U);
}

TEST(CudaDriver, WithoutADriver) {
  if (unavailable().empty()) GTEST_SKIP() << "a driver is here";
  EXPECT_EQ(probe("", false).find("unavailable: no NVIDIA driver: libcuda.so.1 cannot be opened"),
            0U);
}

/// The real driver's reading of CUDA_VISIBLE_DEVICES.
TEST(CudaDriver, VisibleDevices) {
  if (!unavailable().empty()) GTEST_SKIP() << unavailable();
  const DeviceInfo& first = devices().front();
  EXPECT_NE(probe("CUDA_VISIBLE_DEVICES=" + first.uuid, false).find("0: " + first.name),
            std::string::npos);
  EXPECT_NE(probe("CUDA_VISIBLE_DEVICES=0", false).find("0: "), std::string::npos);
  for (const std::string hidden : {"", "-1", "GPU-00000000-0000-0000-0000-000000000000"}) {
    const std::string output = probe("CUDA_VISIBLE_DEVICES=" + hidden, false);
    EXPECT_EQ(output.find("unavailable: no CUDA device is visible (CUDA_VISIBLE_DEVICES is '" +
                          hidden + "')"),
              0U)
        << output;
  }
}

}  // namespace
}  // namespace assay::kernels::cuda
