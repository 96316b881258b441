// Which device a text names, which layers go where and why a layer cannot: pure functions over
// descriptions of devices that need not be there.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/planner.h"
#include "engine/support.h"

namespace assay::testing {
namespace {

using engine::DeviceInfo;
using engine::ModelSource;
using kernels::cuda::Path;
using tensor::Device;
using tensor::DeviceKind;

constexpr std::int64_t kGibibyte = std::int64_t{1} << 30;

Device cuda(int index) { return {DeviceKind::cuda, index}; }

DeviceInfo device(int index, int major, int minor, std::int64_t gibibytes) {
  DeviceInfo info;
  info.index = index;
  info.name = "NVIDIA Test";
  info.uuid = fmt::format("GPU-{}", index);
  info.major = major;
  info.minor = minor;
  info.multiprocessors = 40;
  info.memory = gibibytes * kGibibyte;
  info.shared_per_block = 64 * 1024;
  info.path = major >= 9 ? Path::sm90 : major >= 8 ? Path::sm80 : Path::sm75;
  return info;
}

/// ASSAY_GPU_MEMORY while it lives.
class MemoryVariable {
 public:
  explicit MemoryVariable(const char* text) { ::setenv("ASSAY_GPU_MEMORY", text, 1); }
  ~MemoryVariable() { ::unsetenv("ASSAY_GPU_MEMORY"); }
};

TEST(Devices, TextsNameThem) {
  const std::vector<DeviceInfo> two = {device(0, 9, 0, 80), device(1, 9, 0, 80)};
  const auto chosen = [&](const char* text) { return engine::choose_device(text, two, "").device; };
  EXPECT_EQ(chosen("cpu"), Device{});
  EXPECT_EQ(chosen("cuda"), cuda(0));
  EXPECT_EQ(chosen("cuda:1"), cuda(1));
  EXPECT_EQ(chosen("auto"), cuda(0));
  EXPECT_TRUE(engine::choose_device("auto", two, "").automatic);
  EXPECT_FALSE(engine::choose_device("auto", {}, "none here").automatic);
  EXPECT_EQ(engine::choose_device("auto", {}, "none here").device, Device{});
  expect_error(ErrorCode::device_missing, {"cuda:2", "2 CUDA devices"},
               [&] { (void)chosen("cuda:2"); });
  for (const char* text : {"cuda", "cuda:0", "cuda:12"}) {
    expect_error(ErrorCode::device_missing, {text, "none here"},
                 [&] { (void)engine::choose_device(text, {}, "none here"); });
  }
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cudaa", "CPU"}) {
    expect_error(ErrorCode::usage, {"unknown device"}, [&] { (void)chosen(text); });
  }
}

TEST(Devices, WhatIsNotHereIsAnsweredWithTheReason) {
  if (!kernels::cuda::devices().empty()) GTEST_SKIP() << "there is a CUDA device";
  expect_error(ErrorCode::device_missing, {"cuda:0", kernels::cuda::unavailable()},
               [&] { (void)engine::resolve_device("cuda:0"); });
}

TEST(Placement, FillsDevicesInOrderAndLeavesTheRestToTheCpu) {
  const engine::PartBytes bytes{.before = 5, .blocks = {10, 10, 10, 10}, .behind = 5};
  const auto placed = [&](const std::vector<std::int64_t>& budgets) {
    return engine::place_blocks(bytes, budgets);
  };
  using Devices = std::vector<Device>;
  EXPECT_EQ(placed({100}), (Devices{cuda(0), cuda(0), cuda(0), cuda(0)}));
  EXPECT_EQ(placed({50}), (Devices{cuda(0), cuda(0), cuda(0), cuda(0)}));
  EXPECT_EQ(placed({49}), (Devices{cuda(0), cuda(0), cuda(0), Device{}}));  // the head is too much
  EXPECT_EQ(placed({25, 25}), (Devices{cuda(0), cuda(0), cuda(1), cuda(1)}));
  EXPECT_EQ(placed({25, 10}), (Devices{cuda(0), cuda(0), cuda(1), Device{}}));
  EXPECT_EQ(placed({14, 100}), (Devices{cuda(1), cuda(1), cuda(1), cuda(1)}));
  EXPECT_EQ(placed({9, 9}), (Devices(4)));
  EXPECT_EQ(placed({}), (Devices(4)));
}

TEST(Placement, TheBudgetIsOfTheDeviceOrOfTheVariable) {
  EXPECT_EQ(engine::memory_budget(device(0, 9, 0, 80)), 71 * kGibibyte);
  {
    const MemoryVariable half("0.5");
    EXPECT_EQ(engine::memory_budget(device(0, 9, 0, 80)), kGibibyte / 2);
  }
  for (const char* text : {"-1", "much", "3GiB"}) {
    const MemoryVariable variable(text);
    expect_error(ErrorCode::usage, {"ASSAY_GPU_MEMORY", text},
                 [&] { (void)engine::memory_budget(device(0, 9, 0, 80)); });
  }
}

/// What a plan for such a device says, whatever kernels this build has.
precision::Plan plan_for(const char* model, const char* text, const std::vector<DeviceInfo>& there,
                         const char* where = "cuda", bool fallback = false) {
  const auto source = ModelSource::open(golden_model(model));
  return engine::make_plan(*source, recipe(text),
                           {.device = where, .fallback = fallback, .devices = &there});
}

TEST(Placement, SixteenBitIsFp16WhereThereIsNoBf16) {
  EXPECT_EQ(plan_for("llama_tied", "nf4", {device(0, 7, 5, 16)}).activations, tensor::DType::f16);
  EXPECT_EQ(plan_for("llama_tied", "nf4", {device(0, 8, 0, 16)}).activations, tensor::DType::bf16);
  const std::vector<DeviceInfo> mixed = {device(0, 8, 0, 16), device(1, 7, 5, 16)};
  EXPECT_EQ(plan_for("llama_tied", "nf4", mixed, "auto").activations, tensor::DType::f16);
  EXPECT_EQ(plan_for("llama_tied", "nf4", mixed, "cuda:0").activations, tensor::DType::bf16);
}

TEST(Placement, AutoSplitsByBlocksAndThePlanShowsIt) {
  const std::vector<DeviceInfo> two = {device(0, 9, 0, 80), device(1, 9, 0, 80)};
  const auto whole = plan_for("llama_untied", "fp32", two, "auto");
  for (const auto& entry : whole.entries) EXPECT_EQ(entry.device, cuda(0)) << entry.layer.name;
  const MemoryVariable little("0");
  const auto none = plan_for("llama_untied", "fp32", two, "auto");
  EXPECT_TRUE(none.supported()) << none.reasons();
  EXPECT_EQ(none.device_names(), "cpu");
  for (const auto& entry : none.entries) EXPECT_EQ(entry.device, Device{}) << entry.layer.name;
}

TEST(Placement, MixturesOfExpertsAreNotForDevicesYet) {
  const std::vector<DeviceInfo> one = {device(0, 9, 0, 80)};
  const auto plan = plan_for("gpt_oss", "bf16", one);
  EXPECT_FALSE(plan.supported());
  EXPECT_NE(plan.reasons().find("mixtures of experts run on the cpu"), std::string::npos)
      << plan.reasons();
  const auto automatic = plan_for("gpt_oss", "bf16", one, "auto");
  EXPECT_TRUE(automatic.supported()) << automatic.reasons();
  EXPECT_EQ(automatic.device_names(), "cpu");
  EXPECT_EQ(automatic.recipe, "bf16");
  const auto fallback = plan_for("gpt_oss", "bf16", one, "cuda", true);
  EXPECT_TRUE(fallback.supported()) << fallback.reasons();
  EXPECT_EQ(fallback.recipe, "bf16 -> cpu bf16");
}

TEST(Placement, ALayerWithoutAKernelThereFallsBackAlone) {
  // No device has kernels for q5_1 yet.
  const std::vector<DeviceInfo> one = {device(0, 9, 0, 80)};
  const auto source = ModelSource::open(golden_model("llama_untied"));
  for (const bool fallback : {false, true}) {
    const auto plan = engine::make_plan(
        *source, recipe("{default: fp32, rules: [{match: '*.1.mlp.up_proj', precision: q5_1}]}"),
        {.device = "cuda", .fallback = fallback, .devices = &one});
    for (const auto& entry : plan.entries) {
      if (entry.layer.name != "model.layers.1.mlp.up_proj") continue;
      EXPECT_EQ(entry.reason.empty(), fallback) << entry.reason;
      EXPECT_EQ(entry.fallback, fallback);
      EXPECT_EQ(entry.device, fallback ? Device{} : cuda(0));
    }
  }
}

TEST(Devices, FallbackOfTheWholeModelIsMarked) {
  const std::vector<DeviceInfo> none;
  const auto source = ModelSource::open(golden_model("llama_tied"));
  expect_error(ErrorCode::device_missing, {"cuda"}, [&] {
    (void)make_plan(*source, recipe("int8"), {.device = "cuda", .devices = &none});
  });
  const auto plan =
      make_plan(*source, recipe("int8"), {.device = "cuda", .fallback = true, .devices = &none});
  EXPECT_EQ(plan.recipe, "int8 -> cpu int8");
  EXPECT_EQ(plan.device, tensor::Device{});
  for (const precision::PlanEntry& e : plan.entries) EXPECT_TRUE(e.fallback) << e.layer.name;
  EXPECT_TRUE(plan.supported());
  const auto cpu = make_plan(*source, recipe("int8"), {.device = "cpu", .fallback = true});
  EXPECT_EQ(cpu.recipe, "int8");
  EXPECT_FALSE(cpu.entries.front().fallback);
}

}  // namespace
}  // namespace assay::testing
