#include "kernels/cpu/linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <cfloat>
#include <limits>
#include <set>

#include "kernels/cpu/linear/identity.h"
#include "kernels/cpu/linear/products.h"
#include "linear_reference.h"
#include "linear_testing.h"
#include "precision/encodings/block_forms.h"

// Kernels on activations of the compute type, against products in double of the same operands.
namespace assay::kernels::cpu {
namespace {

using testing::Reference;
using testing::reference;
using testing::Values;

void expect_near(const Values& y, const Reference& expected, const std::string& what) {
  ASSERT_EQ(y.size(), expected.y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    ASSERT_NEAR(y[i], expected.y[i], expected.bound[i]) << what << ", output " << i;
  }
}

void check_native(const LinearKernel& kernel, const precision::EncodedTensor& weight,
                  const PackedWeight& packed, const testing::CallOptions& options,
                  const Values& x) {
  const testing::CallResult result = testing::call(kernel, packed, x, options);
  EXPECT_EQ(result.identity, kernel.identity);
  const DType compute = kernel.identity.compute;
  expect_near(result.y, reference(weight, x, options, compute),
              fmt::format("{} n={} k={} m={}{}", kernel.identity.kernel, weight.rows, weight.cols,
                          options.m, weight.nested != nullptr ? " double-quantized" : ""));
}

struct Shape {
  std::int64_t n, k;
};
constexpr Shape kShapes[] = {{1, 1},   {2, 2},     {15, 16},  {17, 15},  {31, 33},
                             {33, 17}, {63, 64},   {64, 65},  {65, 96},  {2, 63},
                             {96, 31}, {127, 200}, {16, 257}, {200, 127}};

TEST(Linear, EveryKernelOverRemainders) {
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    const Encoding encoding = kernel->identity.encoding;
    if (!testing::encodes(encoding)) continue;
    unsigned seed = 1;
    for (const Shape shape : kShapes) {
      const std::int64_t k = testing::fitting_depth(encoding, shape.k);
      if (!testing::supports(*kernel, shape.n, k)) continue;
      for (const bool nested : {false, true}) {
        if (nested && !testing::is_four_bit(encoding)) continue;
        const auto weight = testing::random_weight(encoding, shape.n, k, ++seed, nested);
        const PackedWeight packed = testing::pack(*kernel, weight);
        for (const std::int64_t m : {1, 2, 3, 5, 8, 17}) {
          check_native(*kernel, weight, packed, {.m = m}, testing::random_values(m * k, ++seed));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Linear, DeepAndWide) {
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    const Encoding encoding = kernel->identity.encoding;
    if (!testing::encodes(encoding)) continue;
    const std::int64_t k = testing::fitting_depth(encoding, 1216);
    const auto weight = testing::random_weight(encoding, 70, k, 3);
    const PackedWeight packed = testing::pack(*kernel, weight);
    for (const std::int64_t m : {1, 4, 61}) {
      check_native(*kernel, weight, packed, {.m = m, .bias = testing::random_values(70, 5)},
                   testing::random_values(m * k, 4));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Linear, EveryTypeOfInputAndOutputWithBias) {
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (!testing::encodes(kernel->identity.encoding)) continue;
    const std::int64_t k = testing::fitting_depth(kernel->identity.encoding, 75);
    if (!testing::supports(*kernel, 43, k)) continue;
    const auto weight = testing::random_weight(kernel->identity.encoding, 43, k, 11);
    const PackedWeight packed = testing::pack(*kernel, weight);
    for (const DType x_type : kTypes) {
      for (const DType y_type : kTypes) {
        for (const std::int64_t m : {1, 6}) {
          check_native(
              *kernel, weight, packed,
              {.m = m, .x_type = x_type, .y_type = y_type, .bias = testing::random_values(43, 12)},
              testing::random_values(m * k, 13));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

/// Views with a stride, and rows that end where reading on would be a fault for a sanitizer.
TEST(Linear, StridedViews) {
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (!testing::encodes(kernel->identity.encoding)) continue;
    if (!testing::supports(*kernel, 37, 64)) continue;
    const auto weight = testing::random_weight(kernel->identity.encoding, 37, 64, 21);
    const PackedWeight packed = testing::pack(*kernel, weight);
    const Values x = testing::random_values(5 * 64, 22);
    const Values expected = testing::call(*kernel, packed, x, {.m = 5}).y;
    const tensor::Matrix in(DType::f32, 5, 100, true);
    const tensor::Matrix out(DType::f32, 5, 50, true);
    for (std::int64_t r = 0; r < 5; ++r) {
      tensor::store_row(in.view().columns(9, 64), r, {x.data() + r * 64, 64});
    }
    Workspace workspace;
    LinearCall call{.weight = packed,
                    .x = in.view().columns(9, 64),
                    .y = out.view().columns(3, 37),
                    .bias = {},
                    .pool = testing::pool_of(1),
                    .workspace = workspace};
    (void)kernel->run(call);
    for (std::int64_t r = 0; r < 5; ++r) {
      for (std::int64_t c = 0; c < 50; ++c) {
        const float y = out.view().row<float>(r)[c];
        const bool inside = c >= 3 && c < 40;
        ASSERT_EQ(y, inside ? expected[r * 37 + c - 3] : 0.0F) << kernel->identity.kernel;
      }
    }
  }
}

bool codes_of_four_bits(Encoding e) {
  const auto* blocks = precision::info(e).blocks;
  return testing::is_four_bit(e) || e == Encoding::q4_0 || e == Encoding::q4_1 ||
         e == Encoding::int4 || (blocks != nullptr && blocks->bits == 4);
}

/// One row of codes is not multiplied as many are: in bf16 by tables, and on amx by VDPBF16PS.
bool one_row_has_its_own_sums(const precision::KernelIdentity& kernel) {
  if (kernel.path == name_of(Isa::amx)) return precision::info(kernel.encoding).quantized;
  return kernel.path == name_of(Isa::avx512_vnni_bf16) && codes_of_four_bits(kernel.encoding);
}

void expect_bits(const Values& y, std::span<const float> expected, const std::string& what) {
  ASSERT_EQ(y.size(), expected.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(y[i]), std::bit_cast<std::uint32_t>(expected[i]))
        << what << ", output " << i;
  }
}

/// The promise of panels: threads and division change no bit, and batch none but for one row of
/// codes, which agrees with the product in double.
TEST(Linear, BitsDoNotDependOnBatchOrThreads) {
  constexpr std::int64_t kRows = 100, kColumns = 133;
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (!testing::encodes(kernel->identity.encoding)) continue;
    for (const std::int64_t k : {704, 200}) {
      const std::int64_t depth = testing::fitting_depth(kernel->identity.encoding, k);
      if (!testing::supports(*kernel, kColumns, depth)) continue;
      const auto weight = testing::random_weight(kernel->identity.encoding, kColumns, depth, 31);
      const PackedWeight packed = testing::pack(*kernel, weight, 2);
      const Values x = testing::random_values(kRows * depth, 32);
      const Values all = testing::call(*kernel, packed, x, {.m = kRows}).y;
      for (const std::int64_t m : {1, 2, 4, 9, 16, 37, 100}) {
        const std::int64_t first = kRows - m;
        const Values part(x.begin() + first * depth, x.end());
        Values expected(all.begin() + first * kColumns, all.end());
        if (m == 1 && one_row_has_its_own_sums(kernel->identity)) {
          check_native(*kernel, weight, packed, {.m = 1}, part);
          expected = testing::call(*kernel, packed, part, {.m = 1}).y;
        }
        for (const int threads : {1, 2, 3}) {
          if (threads > 1 && m != 1 && m != 37) continue;
          const Values y = testing::call(*kernel, packed, part, {.m = m, .threads = threads}).y;
          expect_bits(
              y, expected,
              fmt::format("{} k={} m={} threads={}", kernel->identity.kernel, depth, m, threads));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

/// More rows than the second cache holds are divided the other way round: each group of rows meets
/// all panels. Every row has the bits that it has among 37.
TEST(Linear, BitsDoNotDependOnHowRowsAreDivided) {
  constexpr std::int64_t kColumns = 133, kDepth = 704, kPart = 37;
  const auto compare = [&](const LinearKernel& kernel, std::int64_t operand_bytes) {
    const std::int64_t rows = kNearBytes / (kDepth * operand_bytes) + 150;
    const auto weight = testing::random_weight(kernel.identity.encoding, kColumns, kDepth, 41);
    const PackedWeight packed = testing::pack(kernel, weight, 2);
    const Values x = testing::random_values(rows * kDepth, 42);
    const Values all = testing::call(kernel, packed, x, {.m = rows}).y;
    expect_bits(testing::call(kernel, packed, x, {.m = rows, .threads = 2}).y, all,
                std::string(kernel.identity.kernel));
    for (const std::int64_t first : {std::int64_t{0}, std::int64_t{90}, rows / 2, rows - kPart}) {
      const Values part(x.begin() + first * kDepth, x.begin() + (first + kPart) * kDepth);
      const Values y = testing::call(kernel, packed, part, {.m = kPart}).y;
      const Values expected(all.begin() + first * kColumns,
                            all.begin() + (first + kPart) * kColumns);
      expect_bits(y, expected, fmt::format("{} from row {}", kernel.identity.kernel, first));
      if (HasFatalFailure()) return;
    }
  };
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    const Encoding e = kernel->identity.encoding;
    if (e == Encoding::f32 || e == Encoding::bf16 || e == Encoding::nf4) compare(*kernel, 2);
    if (HasFatalFailure()) return;
  }
  for (const LinearKernel* kernel : testing::runnable(Activation::int8_dynamic)) {
    compare(*kernel, 1);
    if (HasFatalFailure()) return;
  }
}

/// fp32 is one sum over ascending depth, fused on every instruction set that can.
TEST(Linear, Fp32IsOneAscendingSum) {
  const auto weight = testing::random_weight(Encoding::f32, 40, 300, 41);
  const Values w = testing::decoded(weight);
  const Values x = testing::random_values(7 * 300, 42);
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (kernel->identity.encoding != Encoding::f32) continue;
    const bool fused = kernel->identity.path != name_of(Isa::portable);
    const Values y = testing::call(*kernel, testing::pack(*kernel, weight), x, {.m = 7}).y;
    for (std::int64_t r = 0; r < 7; ++r) {
      for (std::int64_t c = 0; c < 40; ++c) {
        float sum = 0.0F;
        for (std::int64_t i = 0; i < 300; ++i) {
          const float a = x[r * 300 + i], b = w[c * 300 + i];
          sum = fused ? std::fma(a, b, sum) : a * b + sum;
        }
        ASSERT_EQ(sum, y[r * 40 + c]) << kernel->identity.kernel;
      }
    }
  }
}

TEST(Linear, ZerosExtremesAndDenormals) {
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    const Encoding encoding = kernel->identity.encoding;
    if (precision::info(encoding).encode == nullptr) continue;
    Values values = testing::random_values(34 * 64, 51);
    for (std::int64_t i = 0; i < 64; ++i) {
      values[5 * 64 + i] = 0.0F;                            // a row of zeros
      values[6 * 64 + i] = i % 2 == 0 ? 127.0F : -127.0F;   // the largest codes
      values[7 * 64 + i] = 1e-40F * static_cast<float>(i);  // denormals
    }
    for (std::int64_t r = 0; r < 34; ++r) values[r * 64 + 9] = 0.0F;  // a column of zeros
    const auto weight = testing::encode(encoding, values, 34, 64);
    const PackedWeight packed = testing::pack(*kernel, weight);
    Values x = testing::random_values(3 * 64, 52);
    for (std::int64_t i = 0; i < 64; ++i) x[64 + i] = i % 2 == 0 ? 127.0F : -127.0F;
    for (std::int64_t i = 0; i < 64; ++i) x[128 + i] = 1e-39F;
    check_native(*kernel, weight, packed, {.m = 3}, x);
    if (HasFatalFailure()) return;
  }
}

TEST(Linear, NotANumberStaysVisible) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(), std::bit_cast<float>(0x7f800001U),
                       std::bit_cast<float>(0x7fffffffU)};
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (!testing::encodes(kernel->identity.encoding)) continue;
    const std::int64_t k = testing::fitting_depth(kernel->identity.encoding, 64);
    const auto weight = testing::random_weight(kernel->identity.encoding, 35, k, 61);
    const PackedWeight packed = testing::pack(*kernel, weight);
    for (const float value : bad) {
      for (const DType y_type : {DType::f32, DType::bf16, DType::f16}) {
        for (const std::int64_t m : {1, 5}) {
          Values x = testing::random_values(m * k, 62);
          x[m * k - 1] = value;
          const Values y = testing::call(*kernel, packed, x, {.m = m, .y_type = y_type}).y;
          for (std::size_t i = 0; i < y.size(); ++i) {
            const bool last = i >= static_cast<std::size_t>((m - 1) * 35);
            ASSERT_EQ(std::isfinite(y[i]), !last) << kernel->identity.kernel;
          }
        }
      }
    }
  }
}

TEST(Linear, PackingFindsBadWeights) {
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    const Encoding encoding = kernel->identity.encoding;
    if (!testing::encodes(encoding)) continue;
    const auto* blocks = precision::info(encoding).blocks;
    auto weight = testing::random_weight(encoding, 40, testing::fitting_depth(encoding, 64), 71);
    const auto size = weight.codes.bytes.size();
    tensor::Buffer codes(size);
    std::copy(weight.codes.bytes.begin(), weight.codes.bytes.end(), codes.data());
    if (!weight.scales.empty()) {
      weight.scales[1] = std::numeric_limits<float>::infinity();
    } else {
      // The first number of row 33: a value or a block's f16 scale. All ones is NaN in each type.
      const std::size_t first = size / 40 * 33;
      const std::size_t at = first + (blocks == nullptr ? 0 : blocks->number_at);
      for (std::size_t i = 0; i < (encoding == Encoding::f32 ? 4 : 2); ++i) {
        codes.data()[at + i] = std::byte{0xff};
      }
    }
    weight.codes = precision::share(std::move(codes));
    try {
      (void)testing::pack(*kernel, weight);
      FAIL() << kernel->identity.kernel << " packed a weight that is not finite";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::numeric) << error.what();
    }
  }
}

/// The largest exponents: finite with small codes only.
TEST(Linear, PackingFindsExponentsBeyondF32) {
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (kernel->identity.encoding != Encoding::mxfp4) continue;
    const auto packs = [&](unsigned exponent, unsigned code) {
      tensor::Buffer codes(17);
      for (std::size_t i = 0; i < 17; ++i) codes.data()[i] = std::byte{0};
      codes.data()[0] = static_cast<std::byte>(exponent);
      codes.data()[5] = static_cast<std::byte>(code << 4U);
      try {
        (void)testing::pack(
            *kernel, {Encoding::mxfp4, 1, 32, precision::share(std::move(codes)), {}, nullptr});
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::numeric);
        return false;
      }
      return true;
    };
    EXPECT_TRUE(packs(252, 7));   // 6 * 2^125
    EXPECT_TRUE(packs(253, 5));   // 3 * 2^126
    EXPECT_FALSE(packs(253, 6));  // 4 * 2^126
    EXPECT_FALSE(packs(253, 15));
    EXPECT_TRUE(packs(254, 3));  // 1.5 * 2^127
    EXPECT_FALSE(packs(254, 4));
    EXPECT_FALSE(packs(255, 0));
  }
}

TEST(Linear, LookupEqualsTheReferenceDecoder) {
  for (const LinearKernel& kernel : linear_kernels()) {
    const Encoding encoding = kernel.identity.encoding;
    if (!testing::encodes(encoding)) continue;
    for (const std::int64_t wanted : {64, 75}) {
      for (const bool nested : {false, true}) {
        if (nested && !testing::is_four_bit(encoding)) continue;
        const std::int64_t k = testing::fitting_depth(encoding, wanted);
        const auto weight = testing::random_weight(encoding, 67, k, 81, nested);
        const PackedWeight packed = testing::pack(kernel, weight);
        const std::vector<std::int32_t> ids = {66, 0, 31, 32, 66};
        for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
          const tensor::Matrix y(type, 5, k);
          EXPECT_EQ(kernel.lookup(packed, ids, y.view()), kernel.lookup_identity);
          const Values rows = testing::values_of(y);
          const Values expected = testing::decoded(weight);
          for (std::size_t r = 0; r < ids.size(); ++r) {
            for (std::int64_t i = 0; i < k; ++i) {
              ASSERT_EQ(rows[r * k + i], testing::rounded_to(type, expected[ids[r] * k + i]))
                  << kernel.lookup_identity.kernel;
            }
          }
        }
      }
    }
  }
}

TEST(LinearTable, NamesAreThoseOfTheRegistries) {
  for (const precision::EncodingInfo& info : precision::all_encodings()) {
    EXPECT_EQ(kEncodingNames[static_cast<std::size_t>(info.id)], info.name);
  }
  for (std::size_t i = 0; i < kIsaNames.size(); ++i) {
    EXPECT_EQ(kIsaNames[i], name_of(static_cast<Isa>(i)));
  }
}

TEST(LinearTable, EveryProblemHasAKernelOnEveryInstructionSet) {
  CpuFeatures all;
  all.avx2 = all.avx512 = all.vnni = all.bf16 = true;
  std::set<std::string_view> names;
  for (const LinearKernel& kernel : linear_kernels()) names.insert(kernel.identity.kernel);
  EXPECT_EQ(names.size(), linear_kernels().size());
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    for (const precision::EncodingInfo& info : precision::all_encodings()) {
      for (const DType compute : {DType::f32, DType::f16, DType::bf16}) {
        const bool own = info.quantized || info.name == (compute == DType::f32   ? "f32"
                                                         : compute == DType::f16 ? "f16"
                                                                                 : "bf16");
        const LinearProblem problem{.encoding = info.id, .compute = compute, .n = 5, .k = 256};
        int found = 0;
        for (const LinearKernel& kernel : linear_kernels()) {
          if (kernel.identity.path == name_of(isa)) found += kernel.supports(problem, all, nullptr);
        }
        EXPECT_EQ(found, own ? 1 : 0) << info.name << " " << name_of(isa);
      }
    }
  }
}

TEST(LinearTable, RefusalsSayWhy) {
  const LinearKernel* q4 = nullptr;
  for (const LinearKernel& kernel : linear_kernels()) {
    if (kernel.identity.encoding == Encoding::q4_1) q4 = &kernel;
  }
  ASSERT_NE(q4, nullptr);
  const CpuFeatures bare;
  LinearProblem problem{
      .encoding = Encoding::q4_1, .compute = q4->identity.compute, .n = 4, .k = 64};
  std::string why;
  EXPECT_TRUE(q4->supports(problem, bare, &why));
  problem.k = 65;
  EXPECT_FALSE(q4->supports(problem, bare, &why));
  EXPECT_NE(why.find("multiple of 32, not 65"), std::string::npos) << why;
  problem.k = 0;
  EXPECT_FALSE(q4->supports(problem, bare, &why));
  problem = {.encoding = Encoding::nf4, .n = 4, .k = 64};
  EXPECT_FALSE(q4->supports(problem, bare, &why));
  EXPECT_NE(why.find("nf4"), std::string::npos) << why;
  for (const LinearKernel& kernel : linear_kernels()) {
    if (kernel.identity.path != name_of(Isa::avx2)) continue;
    problem = {.encoding = kernel.identity.encoding,
               .activation = kernel.identity.activation,
               .compute = kernel.identity.compute,
               .n = 4,
               .k = 256};
    EXPECT_FALSE(kernel.supports(problem, bare, &why));
    EXPECT_NE(why.find("needs instruction set avx2"), std::string::npos) << why;
  }
}

/// What packing adds: group scales of 6 bits become bytes.
std::int64_t widened_scales(Encoding e, std::int64_t elements) {
  if (e == Encoding::q3_k || e == Encoding::q4_k || e == Encoding::q5_k) return elements / 64;
  return e == Encoding::iq4_xs ? elements / 128 : 0;
}

/// A full panel of whole blocks costs what is stored; scales of a second quantization stay codes.
TEST(LinearTable, BytesAreThoseHeld) {
  for (const LinearKernel& kernel : linear_kernels()) {
    const Encoding encoding = kernel.identity.encoding;
    if (!testing::encodes(encoding)) continue;
    for (const bool nested : {false, true}) {
      if (nested && !testing::is_four_bit(encoding)) continue;
      const auto weight = testing::random_weight(encoding, 64, 256, 91, nested);
      EXPECT_EQ(testing::pack(kernel, weight).bytes(),
                weight.bytes() + widened_scales(encoding, 64 * 256))
          << kernel.identity.kernel;
    }
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
