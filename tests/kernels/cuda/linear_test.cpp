#include "kernels/cuda/linear.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/linear_device.h"

// Kernels on activations in the compute type, and those that quantize them to fp8, against products
// in double of the same operands.
namespace assay::kernels::cuda {
namespace {

using cpu::testing::random_values;
using testing::Activation;
using testing::CallOptions;
using testing::DeviceOptions;
using testing::DType;
using testing::Encoding;
using testing::is_four_bit;
using testing::random_weight;
using testing::Values;

class CudaLinear : public testing::OnDevice {};

/// Activations as fp8_dynamic multiplies them: encoded by rows as a weight is, and dequantized.
Values through_fp8(const Values& x, std::int64_t k) {
  const auto rows = static_cast<std::int64_t>(x.size()) / k;
  return cpu::testing::decoded(cpu::testing::encode(Encoding::fp8_e4m3, x, rows, k));
}

cpu::testing::Reference expected_of(const LinearKernel& kernel,
                                    const precision::EncodedTensor& weight, const Values& x,
                                    const CallOptions& options) {
  const DType compute = kernel.identity.compute;
  const double step = testing::step_of(kernel);
  if (kernel.identity.activation == Activation::native && compute != DType::tf32) {
    return cpu::testing::reference(weight, x, options, compute, step);
  }
  Values w = cpu::testing::decoded(weight), in = x;
  for (float& v : in) v = cpu::testing::rounded_to(options.x_type, v);
  if (compute == DType::tf32) {
    for (float& v : w) v = testing::to_tf32(v);
    for (float& v : in) v = testing::to_tf32(v);
  } else {
    in = through_fp8(in, weight.cols);
  }
  return cpu::testing::product_reference(w, in, weight.cols, options, step);
}

void check(const LinearKernel& kernel, const precision::EncodedTensor& weight,
           const PackedWeight& packed, const Values& x, const CallOptions& options,
           const DeviceOptions& more = {}) {
  const testing::DeviceResult result = testing::call(kernel, packed, x, options, more);
  EXPECT_EQ(result.identity, kernel.identity);
  const auto expected = expected_of(kernel, weight, x, options);
  const std::string what =
      fmt::format("{} n={} k={} m={} pad={}{}{}", kernel.identity.kernel, weight.rows, weight.cols,
                  options.m, more.x_pad, more.fixed_tiles ? " fixed" : "",
                  weight.nested != nullptr ? " double-quantized" : "");
  ASSERT_TRUE(result.untouched) << what;
  testing::expect_near(result.y, expected.y, expected.bound, what);
}

std::vector<const LinearKernel*> float_kernels() {
  std::vector<const LinearKernel*> kernels = testing::runnable();
  std::erase_if(kernels,
                [](const LinearKernel* kernel) { return kernel->identity.compute == DType::i8; });
  return kernels;
}

struct Shape {
  std::int64_t n, k;
};
constexpr Shape kShapes[] = {{1, 1},   {2, 2},     {15, 16},  {17, 15},   {31, 33},
                             {33, 17}, {63, 64},   {64, 65},  {65, 96},   {2, 63},
                             {96, 31}, {127, 200}, {16, 257}, {200, 127}, {129, 448}};
constexpr std::int64_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100};

/// One test for each shape: under compute-sanitizer all of them take longer than a run may.
class CudaLinearShapes : public testing::OnDevice, public ::testing::WithParamInterface<Shape> {};
class CudaLinearBatches : public CudaLinearShapes {};

std::string name_of(const ::testing::TestParamInfo<Shape>& info) {
  return fmt::format("n{}k{}", info.param.n, info.param.k);
}

TEST_P(CudaLinearShapes, EveryKernelOverRemainders) {
  const Shape shape = GetParam();
  auto seed = static_cast<unsigned>(shape.n * 1000 + shape.k);
  for (const LinearKernel* kernel : float_kernels()) {
    const Encoding encoding = kernel->identity.encoding;
    const std::int64_t k = testing::fitting_depth(encoding, shape.k);
    const bool nested = is_four_bit(encoding) && shape.n % 2 == 1;
    const auto weight = random_weight(encoding, shape.n, k, ++seed, nested);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    for (const std::int64_t m : kRows) {
      check(*kernel, weight, packed, random_values(m * k, ++seed), {.m = m},
            {.x_pad = static_cast<std::int64_t>(seed % 3 * 4), .fixed_tiles = m % 5 == 1});
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Over, CudaLinearShapes, ::testing::ValuesIn(kShapes), name_of);

TEST_F(CudaLinear, Deep) {
  for (const LinearKernel* kernel : float_kernels()) {
    const auto weight = random_weight(kernel->identity.encoding, 70, 4352, 3);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    for (const std::int64_t m : {1, 4, 61}) {
      check(*kernel, weight, packed, random_values(m * 4352, 4), {.m = m});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(CudaLinear, EveryTypeOfInputAndOutputWithBias) {
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};
  for (const LinearKernel* kernel : float_kernels()) {
    const std::int64_t k = testing::fitting_depth(kernel->identity.encoding, 75);
    const auto weight = random_weight(kernel->identity.encoding, 43, k, 11);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    for (const DType x_type : kTypes) {
      for (const DType y_type : kTypes) {
        for (const std::int64_t m : {1, 6, 20}) {
          check(*kernel, weight, packed, random_values(m * k, 13),
                {.m = m, .x_type = x_type, .y_type = y_type, .bias = random_values(43, 12)});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

bool same_bits(const Values& a, const Values& b, std::size_t count) {
  return std::memcmp(a.data(), b.data(), count * sizeof(float)) == 0;
}

TEST_P(CudaLinearBatches, FixedTilesGiveARowTheSameBitsInAnyBatch) {
  const Shape shape = GetParam();
  for (const LinearKernel* kernel : testing::runnable()) {
    const auto weight = random_weight(kernel->identity.encoding, shape.n, shape.k, 21);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    const Values x = random_values(100 * shape.k, 22);
    const DeviceOptions fixed{.fixed_tiles = true, .activation_range = 3.81F};
    const auto rows = [&](std::int64_t m) {
      Values part(x.begin(), x.begin() + m * shape.k);
      return testing::call(*kernel, packed, part, {.m = m}, fixed).y;
    };
    const Values all = rows(100);
    for (const std::int64_t m : {1, 2, 16, 65}) {
      EXPECT_TRUE(same_bits(all, rows(m), static_cast<std::size_t>(m * shape.n)))
          << kernel->identity.kernel << " m=" << m << " n=" << shape.n;
    }
    EXPECT_TRUE(same_bits(all, rows(100), all.size())) << kernel->identity.kernel;
  }
}

// The widest makes a call of 100 rows take the large tile.
INSTANTIATE_TEST_SUITE_P(Of, CudaLinearBatches,
                         ::testing::Values(Shape{70, 320}, Shape{128 * 70, 192}), name_of);

/// The large tile, against the reference in some of its places.
TEST_F(CudaLinear, ManyTiles) {
  constexpr std::int64_t kN = 128 * 70 + 5, kDepth = 192, kM = 131;
  for (const LinearKernel* kernel : float_kernels()) {
    const auto weight = random_weight(kernel->identity.encoding, kN, kDepth, 31);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    const Values x = random_values(kM * kDepth, 32);
    const auto result = testing::call(*kernel, packed, x, {.m = kM, .y_type = DType::bf16});
    ASSERT_TRUE(result.untouched) << kernel->identity.kernel;
    for (const std::int64_t r : {0, 63, 64, 127, 128, 130}) {
      const Values row(x.begin() + r * kDepth, x.begin() + (r + 1) * kDepth);
      const auto expected = expected_of(*kernel, weight, row, {.y_type = DType::bf16});
      const Values y(result.y.begin() + r * kN, result.y.begin() + (r + 1) * kN);
      testing::expect_near(y, expected.y, expected.bound,
                           fmt::format("{} row {}", kernel->identity.kernel, r));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(CudaLinear, NotANumberFillsItsRow) {
  for (const LinearKernel* kernel : float_kernels()) {
    const auto weight = random_weight(kernel->identity.encoding, 35, 128, 41);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    for (const std::int64_t m : {3, 12}) {
      Values x = random_values(m * 128, 42);
      x[128 + 77] = std::numeric_limits<float>::quiet_NaN();
      const Values y = testing::call(*kernel, packed, x, {.m = m}).y;
      for (std::int64_t i = 0; i < m * 35; ++i) {
        ASSERT_EQ(std::isnan(y[i]), i / 35 == 1) << kernel->identity.kernel << " output " << i;
      }
    }
  }
}

TEST_F(CudaLinear, NoRowsAreNoWork) {
  for (const LinearKernel* kernel : testing::runnable()) {
    const auto weight = random_weight(kernel->identity.encoding, 8, 64, 51);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    const auto result = testing::call(*kernel, packed, {}, {.m = 0});
    EXPECT_EQ(result.identity, kernel->identity);
    EXPECT_TRUE(result.untouched);
  }
}

/// Inside a capture nothing may allocate, and what is launched again reads its inputs anew.
TEST_F(CudaLinear, RunsInAGraph) {
  for (const LinearKernel* kernel : testing::runnable()) {
    const auto weight = random_weight(kernel->identity.encoding, 80, 128, 61);
    const PackedWeight packed = kernel->pack(weight, testing::stream());
    for (const std::int64_t m : {1, 20}) {
      Workspace workspace(testing::device());
      testing::Poisoned in(DType::f32, m, 128, 0), out(DType::f32, m, 80, 3);
      LinearCall call{.weight = packed,
                      .x = in.view(),
                      .y = out.view(),
                      .threshold = 2.5F,
                      .stream = testing::stream(),
                      .workspace = workspace,
                      .activation_range = 3.81F};
      in.set(random_values(m * 128, 62));
      in.upload();
      (void)kernel->run(call);
      testing::stream().synchronize();
      testing::stream().begin_capture();
      (void)kernel->run(call);
      const Graph graph = testing::stream().end_capture();
      const Values x = random_values(m * 128, 63);
      in.set(x);
      in.upload();
      out.upload();
      testing::stream().launch(graph);
      ASSERT_TRUE(out.download());
      const auto direct = testing::call(*kernel, packed, x, {.m = m, .threshold = 2.5F},
                                        {.activation_range = 3.81F});
      EXPECT_TRUE(same_bits(out.values(), direct.y, direct.y.size())) << kernel->identity.kernel;
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cuda
