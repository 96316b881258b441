#include <gtest/gtest.h>

#include <set>

#include "kernels/cuda/linear.h"

// supports() is a pure function: no device is needed here.
namespace assay::kernels::cuda {
namespace {

using precision::Activation;
using precision::Encoding;
using tensor::DType;

DeviceInfo device_of(int major, int minor, Path path) {
  DeviceInfo info;
  info.name = "a device";
  info.major = major;
  info.minor = minor;
  info.path = path;
  return info;
}

bool compiled(Path path) {
  for (const Path one : compiled_paths()) {
    if (one == path) return true;
  }
  return false;
}

/// Name of the first kernel that takes the problem, or the reasons of those that come nearest.
std::string chosen(const LinearProblem& problem, const DeviceInfo& device) {
  std::string reasons;
  for (const LinearKernel& kernel : linear_kernels()) {
    std::string why;
    if (kernel.supports(problem, device, &why)) return std::string(kernel.identity.kernel);
    const bool near = kernel.identity.encoding == problem.encoding &&
                      kernel.identity.activation == problem.activation;
    if (near && reasons.find(why) == std::string::npos) reasons += why + "; ";
  }
  return reasons;
}

const LinearProblem kBf16{.encoding = Encoding::bf16, .compute = DType::bf16, .n = 8, .k = 64};
const LinearProblem kFp8{.encoding = Encoding::fp8_e4m3,
                         .activation = Activation::fp8_dynamic,
                         .compute = DType::bf16,
                         .n = 8,
                         .k = 64};

TEST(CudaLinearSupports, TheRunningPathIsTaken) {
  for (const Path path : compiled_paths()) {
    const int capability = path == Path::sm75 ? 75 : path == Path::sm80 ? 80 : 90;
    const DeviceInfo device = device_of(capability / 10, capability % 10, path);
    const LinearProblem problem{.encoding = Encoding::nf4, .compute = DType::f16, .n = 5, .k = 128};
    EXPECT_EQ(chosen(problem, device), fmt::format("linear_nf4_fp16_{}", name_of(path)));
  }
}

TEST(CudaLinearSupports, ForcedPathsOnANewerDevice) {
  for (const Path path : compiled_paths()) {
    const LinearProblem problem{.encoding = Encoding::int8,
                                .activation = Activation::int8_dynamic,
                                .compute = DType::f16,
                                .n = 5,
                                .k = 100};
    EXPECT_EQ(chosen(problem, device_of(9, 0, path)),
              fmt::format("linear_int8_dynamic_{}", name_of(path)));
  }
}

TEST(CudaLinearSupports, TuringHasNoBf16) {
  if (!compiled(Path::sm75)) GTEST_SKIP() << "path sm75 is not compiled";
  EXPECT_NE(chosen(kBf16, device_of(7, 5, Path::sm75))
                .find("a device of compute capability 7.5 has no bf16"),
            std::string::npos);
  EXPECT_NE(chosen(kBf16, device_of(9, 0, Path::sm75)).find("path sm75 has no bf16"),
            std::string::npos);
  const LinearProblem tf32{.encoding = Encoding::f32, .compute = DType::tf32, .n = 8, .k = 8};
  EXPECT_NE(chosen(tf32, device_of(7, 5, Path::sm75)).find("has no tf32"), std::string::npos);
}

TEST(CudaLinearSupports, Fp8NeedsAda) {
  if (!compiled(Path::sm80)) GTEST_SKIP() << "path sm80 is not compiled";
  EXPECT_NE(chosen(kFp8, device_of(8, 0, Path::sm80))
                .find("a device of compute capability 8.0 has no fp8"),
            std::string::npos);
  EXPECT_EQ(chosen(kFp8, device_of(8, 9, Path::sm80)), "linear_fp8_e4m3_dynamic_sm80");
  EXPECT_NE(chosen(kFp8, device_of(9, 0, Path::sm80)).find("8.9 alone"), std::string::npos);
}

TEST(CudaLinearSupports, ShapesAreChecked) {
  const Path path = compiled_paths().back();
  const DeviceInfo device = device_of(9, 0, path);
  const auto reason = [&](Encoding encoding, Activation activation, std::int64_t n,
                          std::int64_t k) {
    return chosen(
        {.encoding = encoding, .activation = activation, .compute = DType::f16, .n = n, .k = k},
        device);
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(reason(Encoding::nf4, Activation::native, 4, 96),
                  "needs a depth that is a multiple of 64, not 96"));
  EXPECT_TRUE(has(reason(Encoding::q4_0, Activation::native, 4, 48), "multiple of 32"));
  EXPECT_TRUE(has(reason(Encoding::int8, Activation::int8_dynamic, 4, 131073), "int32"));
  EXPECT_TRUE(has(reason(Encoding::f16, Activation::native, 0, 5), "is empty"));
  EXPECT_TRUE(has(reason(Encoding::f16, Activation::native, 5, 5), "linear_fp16_"));
}

TEST(CudaLinearSupports, IdentitiesAreOneOfAKind) {
  std::set<std::string_view> names;
  for (const LinearKernel& kernel : linear_kernels()) {
    EXPECT_TRUE(names.insert(kernel.identity.kernel).second) << kernel.identity.kernel;
    EXPECT_EQ(kernel.identity.device, tensor::DeviceKind::cuda);
    EXPECT_EQ(kernel.lookup_identity.encoding, kernel.identity.encoding);
    EXPECT_EQ(kernel.identity.accumulate, kernel.identity.compute == DType::i8 ? "int32" : "fp32");
    EXPECT_TRUE(kernel.identity.kernel.ends_with(kernel.identity.path));
  }
  EXPECT_EQ(names.size(), compiled_paths().size() * 34);
}

}  // namespace
}  // namespace assay::kernels::cuda
