#include "measure/nvml.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "measure/environment.h"
#include "measure/fake_machine.h"
#include "measure/meter.h"
#include "measure/metering.h"

namespace assay::measure {
namespace {

using testing::FakeGpus;
using testing::Variable;

const tensor::Device kGpu = {.kind = tensor::DeviceKind::cuda, .index = 0};

TEST(Nvml, TellsWhatAGpuIsAndDoes) {
  const FakeGpus machine("watts=250;limit=700;throttle=68;foreign=4242");
  const auto [gpu, reason] = find_gpu(0);
  ASSERT_TRUE(gpu) << reason;
  const Json record = gpu->to_json();
  EXPECT_EQ(record["name"], "Fake GPU");
  EXPECT_EQ(record["uuid"], "GPU-00000000-fake");
  EXPECT_EQ(record["driver"], "999.1");
  EXPECT_EQ(record["memory_bytes"], 80ULL << 30);
  EXPECT_EQ(record["power_limit_watts"], 700.0);
  EXPECT_EQ(record["mig"], false);
  const Json state = gpu->state().to_json();
  EXPECT_EQ(state["sm_mhz"], 1980);
  EXPECT_EQ(state["memory_mhz"], 2619);
  EXPECT_EQ(state["celsius"], 41);
  EXPECT_EQ(state["watts"], 250.0);
  EXPECT_EQ(state["used_bytes"], 1ULL << 30);
  EXPECT_EQ(state["throttled"], Json({"power cap", "heat (hardware)"}));
  EXPECT_EQ(state["foreign_processes"], Json::parse(R"([{"pid": 4242, "bytes": null}])"));
}

TEST(Nvml, OurOwnProcessIsNotForeign) {
  const FakeGpus machine("");
  const auto gpu = find_gpu(0).gpu;
  ASSERT_TRUE(gpu);
  EXPECT_TRUE(gpu->state().foreign.empty());
  EXPECT_TRUE(gpu->state().throttled.empty());
}

TEST(Nvml, WithoutTheLibraryThereIsAReason) {
  const FakeGpus machine("", "/nowhere/libnvidia-ml.so.1");
  EXPECT_EQ(find_gpu(0).reason, "no NVIDIA driver (/nowhere/libnvidia-ml.so.1 cannot be opened)");
  EXPECT_EQ(open_meter(kGpu).reason, find_gpu(0).reason);
}

TEST(Nvml, ALibraryOfSomethingElseIsRefused) {
  const FakeGpus machine("", "libc.so.6");
  EXPECT_NE(find_gpu(0).reason.find("a function is missing"), std::string::npos);
}

TEST(Nvml, ALibraryThatDoesNotStartSaysWhy) {
  const FakeGpus machine("init=15");
  EXPECT_EQ(find_gpu(0).reason, "NVML does not start: GPU is lost");
}

TEST(Nvml, AnOldLibraryLacksFunctionsAndTellsTheRest) {
  const FakeGpus machine("foreign=4242;throttle=4", ASSAY_FAKE_NVML_OLD_LIBRARY);
  const auto gpu = find_gpu(0).gpu;
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->state().sm_mhz, 1980U);
  EXPECT_TRUE(gpu->state().foreign.empty());
  EXPECT_FALSE(gpu->mig());
  EXPECT_EQ(open_meter(kGpu).reason, "the driver's NVML has no energy counter");
}

TEST(Nvml, DevicesAreThoseOfCudaVisibleDevices) {
  const FakeGpus machine("gpus=3");
  const auto uuid = [](int index) {
    const auto found = find_gpu(index);
    return found.gpu ? found.gpu->uuid() : found.reason;
  };
  EXPECT_EQ(uuid(2), "GPU-00000002-fake");
  EXPECT_EQ(uuid(3), "there is no GPU 3 (3 of 3 are visible)");
  {
    const Variable visible("CUDA_VISIBLE_DEVICES", "2,0");
    EXPECT_EQ(uuid(0), "GPU-00000002-fake");
    EXPECT_EQ(uuid(1), "GPU-00000000-fake");
    EXPECT_EQ(uuid(2), "there is no GPU 2 (2 of 3 are visible)");
  }
  {
    const Variable visible("CUDA_VISIBLE_DEVICES", "GPU-00000001");
    EXPECT_EQ(uuid(0), "GPU-00000001-fake");
  }
  {
    const Variable visible("CUDA_VISIBLE_DEVICES", "1,-1,2");
    EXPECT_EQ(uuid(0), "GPU-00000001-fake");
    EXPECT_EQ(uuid(1), "there is no GPU 1 (1 of 3 are visible)") << "-1 ends the list";
  }
  {
    const Variable visible("CUDA_VISIBLE_DEVICES", "");
    EXPECT_EQ(uuid(0), "there is no GPU 0 (0 of 3 are visible)");
  }
}

TEST(Nvml, TheUuidThatCudaTellsWins) {
  const FakeGpus machine("gpus=2");
  EXPECT_EQ(find_gpu(0, "GPU-00000001-fake").gpu->uuid(), "GPU-00000001-fake");
  EXPECT_EQ(find_gpu(0, "MIG-1").reason, "NVML does not know MIG-1: some error");
}

TEST(NvmlMeter, ReadsJoulesSinceItWasOpened) {
  const FakeGpus machine("watts=300;step=10;limit=350");
  const auto [meter, reason] = open_meter(kGpu);
  ASSERT_TRUE(meter) << reason;
  EXPECT_EQ(meter->info().name, "NVML total energy of GPU-00000000-fake");
  EXPECT_EQ(meter->info().limit_watts, 350.0);
  EXPECT_EQ(meter->info().resolution_joules, 1e-3);
  const double begin = clock_seconds();
  const double first = meter->read();
  while (clock_seconds() - begin < 0.1) {
  }
  const double second = meter->read();
  EXPECT_LE(first, 300.0 * (clock_seconds() - begin + 1.0)) << "not the counter's own megajoule";
  EXPECT_GE(second - first, 300.0 * 0.08);
}

TEST(NvmlMeter, ReasonsWhyThereIsNone) {
  {
    const FakeGpus machine("mig=1");
    EXPECT_EQ(open_meter(kGpu).reason,
              "Fake GPU is divided (MIG): its counter is of all instances together");
  }
  const FakeGpus machine("energy=unsupported");
  EXPECT_EQ(open_meter(kGpu).reason, "Fake GPU shows no energy counter: Not Supported");
}

TEST(Environment, HoldsTheGpuAndItsMeter) {
  const FakeGpus machine("gpus=2;foreign=77");
  const Json gpu = environment()["gpu"];
  EXPECT_EQ(gpu["name"], "Fake GPU");
  EXPECT_EQ(gpu["state"]["celsius"], 41);
  EXPECT_EQ(gpu["state"]["foreign_processes"][0]["pid"], 77);
  EXPECT_EQ(environment()["energy_meters"]["gpu"]["name"],
            "NVML total energy of GPU-00000000-fake");
}

}  // namespace
}  // namespace assay::measure
