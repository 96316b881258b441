#include "kernels/cuda/runtime.h"

#include <cstring>

#include "base/error.h"
#include "device_testing.h"
#include "kernels/cuda/elementwise.h"

namespace assay::kernels::cuda {
namespace {

class CudaRuntime : public OnDevice {};

template <typename F>
Error error_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {ErrorCode::usage, ""};
}

TEST(CudaRuntimePaths, AreInOrder) {
  const std::vector<Path> paths = compiled_paths();
  ASSERT_FALSE(paths.empty());
  for (std::size_t i = 1; i < paths.size(); ++i) EXPECT_LT(paths[i - 1], paths[i]);
}

TEST_F(CudaRuntime, DescribesTheDevice) {
  const DeviceInfo& info = stream().device();
  EXPECT_FALSE(info.name.empty());
  EXPECT_EQ(info.uuid.size(), 40U) << info.uuid;
  EXPECT_GE(info.capability(), 75);
  EXPECT_GT(info.multiprocessors, 0);
  EXPECT_GT(info.l2_bytes, 0);
  EXPECT_GE(info.shared_per_block, 48 * 1024);
  const MemoryInfo memory = memory_info(info.index);
  EXPECT_GT(memory.free, 0);
  EXPECT_LE(memory.free, memory.total);
  EXPECT_LE(memory.total, info.memory);
  const Error error = error_of([] { (void)cuda::device(99); });
  EXPECT_EQ(error.code(), ErrorCode::device_missing);
  EXPECT_NE(std::string(error.what()).find(info.name), std::string::npos);
}

TEST_F(CudaRuntime, TheForcedPathRuns) {
  const char* forced = std::getenv("ASSAY_CUDA_PATH");
  if (forced != nullptr && *forced != '\0') EXPECT_EQ(name_of(stream().device().path), forced);
}

TEST_F(CudaRuntime, BuffersAreAccountedFor) {
  const auto before = tensor::allocation_stats(tensor::DeviceKind::cuda);
  {
    const tensor::Buffer buffer(1 << 20, device());
    EXPECT_EQ(tensor::allocation_stats(tensor::DeviceKind::cuda).current,
              before.current + (1 << 20));
  }
  EXPECT_EQ(tensor::allocation_stats(tensor::DeviceKind::cuda).current, before.current);
}

TEST_F(CudaRuntime, OutOfMemorySaysWhatWasAskedAndIsFree) {
  const std::size_t bytes = std::size_t{1} << 50;
  const Error error = error_of([&] { tensor::Buffer buffer(bytes, device()); });
  EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
  EXPECT_NE(std::string(error.what()).find(std::to_string(bytes) + " bytes asked, "),
            std::string::npos)
      << error.what();
  EXPECT_NE(std::string(error.what()).find(" bytes free"), std::string::npos);
  EXPECT_NO_THROW(stream().synchronize());  // the next work runs
}

TEST_F(CudaRuntime, CopiesArriveInOrder) {
  const std::vector<float> values = random_values(1000, 1);
  tensor::Buffer a(4000, device());
  tensor::Buffer b(4000, device());
  stream().copy_to_device(a.data(), values.data(), 4000);
  stream().copy_on_device(b.data(), a.data(), 4000);
  stream().fill_bytes(a.data(), 0, 4000);
  EXPECT_EQ(read(b.as<float>(), 1000), values);
  EXPECT_EQ(read(a.as<float>(), 1000), std::vector<float>(1000, 0.0F));
  Stream other(device().index);
  other.copy_from(stream(), a.data(), b.data(), 4000);
  other.synchronize();
  EXPECT_EQ(read(a.as<float>(), 1000), values);
}

TEST_F(CudaRuntime, CopiesBetweenDevices) {
  if (devices().size() < 2) GTEST_SKIP() << "one device is visible";
  const int second = devices()[1].index;
  Stream other(second);
  const std::vector<float> values = random_values(1000, 2);
  const float* here = array(values);
  tensor::Buffer there(4000, tensor::Device{tensor::DeviceKind::cuda, second});
  other.copy_from(stream(), there.data(), here, 4000);
  std::vector<float> back(1000);
  other.copy_to_host(back.data(), there.data(), 4000);
  other.synchronize();
  EXPECT_EQ(back, values);
}

TEST_F(CudaRuntime, AGraphReadsItsInputsAnew) {
  TestMatrix x = TestMatrix::random(tensor::DType::f32, 3, 40, 0, stream(), 3);
  PinnedBuffer pinned(sizeof(float) * 120);
  stream().begin_capture();
  EXPECT_TRUE(stream().capturing());
  scale(x.view(), 2.0F, stream());
  stream().copy_to_host(pinned.data(), x.view().data, pinned.size());
  const Graph graph = stream().end_capture();
  EXPECT_FALSE(stream().capturing());
  const std::vector<float> before = x.row(1);
  for (int launch = 1; launch <= 3; ++launch) {
    stream().launch(graph);
    stream().synchronize();
    float value = 0.0F;
    std::memcpy(&value, pinned.data() + sizeof(float) * 45, sizeof value);
    EXPECT_EQ(value, before[5] * std::ldexp(1.0F, launch));
  }
}

TEST_F(CudaRuntime, WhatMayNotBeInAGraphIsRefused) {
  tensor::Buffer buffer(64, device());
  std::vector<std::byte> pageable(64);
  stream().begin_capture();
  EXPECT_EQ(error_of([&] { tensor::Buffer other(64, device()); }).code(), ErrorCode::internal);
  EXPECT_EQ(error_of([&] { stream().copy_to_device(buffer.data(), pageable.data(), 64); }).code(),
            ErrorCode::internal);
  stream().fill_bytes(buffer.data(), 1, 64);
  const Graph graph = stream().end_capture();
  stream().launch(graph);
  EXPECT_EQ(read(buffer.as<std::uint8_t>(), 64), std::vector<std::uint8_t>(64, 1));
}

TEST_F(CudaRuntime, EventsMeasure) {
  Event begin(device().index);
  Event end(device().index);
  tensor::Buffer buffer(64 << 20, device());
  begin.record(stream());
  for (int i = 0; i < 4; ++i) stream().fill_bytes(buffer.data(), i, buffer.size());
  end.record(stream());
  end.synchronize();
  EXPECT_GT(end.milliseconds_since(begin), 0.0);
}

TEST_F(CudaRuntime, AMatrixOfTheHostIsRefused) {
  const tensor::Matrix host(tensor::DType::f32, 2, 8);
  const Error error = error_of([&] { scale(host.view(), 2.0F, stream()); });
  EXPECT_EQ(error.code(), ErrorCode::internal);
  EXPECT_NE(std::string(error.what()).find("a matrix is on cpu"), std::string::npos);
}

}  // namespace
}  // namespace assay::kernels::cuda
