// int4, uint8 and fp8_e4m3 have no encoder: their weights are made of random codes here.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/cpu/linear/pack.h"
#include "linear_groups.h"
#include "linear_testing.h"

namespace assay::kernels::cpu {
namespace {

using precision::Activation;
using precision::EncodedTensor;
using precision::Encoding;
using tensor::DType;
using testing::Form;
using testing::grouped_weight;
using testing::Values;

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {Encoding::int4, 33, 64, 32, false},    {Encoding::int4, 64, 256, 64, true},
      {Encoding::int4, 5, 640, 128, true},    {Encoding::int4, 40, 96, 96, false},
      {Encoding::int4, 31, 1216, 64, true},   {Encoding::uint8, 33, 64, 32, true},
      {Encoding::uint8, 64, 320, 320, false}, {Encoding::uint8, 7, 256, 128, true},
      {Encoding::fp8_e4m3, 33, 64, 0, false}, {Encoding::fp8_e4m3, 70, 57, 0, false},
      {Encoding::fp8_e4m3, 5, 1027, 0, false}};
  return all;
}

/// Sums in double of the operands as the kernel has them, and what f32 sums of k may differ.
void expect_product(const LinearKernel& kernel, const EncodedTensor& weight, const Values& x,
                    std::int64_t m, const Values& y) {
  Values w = testing::decoded(weight);
  // fp8 codes are exact in every type; their scale is applied in f32.
  const bool exact = weight.encoding == Encoding::fp8_e4m3;
  for (float& v : w) v = exact ? v : testing::rounded_to(kernel.identity.compute, v);
  for (std::int64_t r = 0; r < m; ++r) {
    for (std::int64_t c = 0; c < weight.rows; ++c) {
      double sum = 0;
      double magnitude = 0;
      for (std::int64_t i = 0; i < weight.cols; ++i) {
        const double a = testing::rounded_to(kernel.identity.compute, x[r * weight.cols + i]);
        sum += a * w[c * weight.cols + i];
        magnitude += std::fabs(a * w[c * weight.cols + i]);
      }
      const double bound = magnitude * (static_cast<double>(weight.cols) + 8) * 0x1p-24 + 1e-30;
      ASSERT_NEAR(y[r * weight.rows + c], sum, bound)
          << kernel.identity.kernel << ", row " << r << ", output " << c;
    }
  }
}

TEST(LinearGrouped, EveryKernelAgreesWithTheReferenceDecoder) {
  int checked = 0;
  for (const Form& form : forms()) {
    const EncodedTensor weight = grouped_weight(form);
    for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
      if (kernel->identity.encoding != form.encoding) continue;
      ASSERT_TRUE(testing::supports(*kernel, form.n, form.k)) << form;
      const PackedWeight packed = testing::pack(*kernel, weight);
      for (const std::int64_t m : {1, 2, 9}) {
        const Values x = testing::random_values(m * form.k, static_cast<unsigned>(m));
        const auto result = testing::call(*kernel, packed, x, {.m = m, .threads = 2});
        EXPECT_EQ(result.identity, kernel->identity);
        expect_product(*kernel, weight, x, m, result.y);
        ASSERT_FALSE(::testing::Test::HasFatalFailure()) << form << " m=" << m;
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 99);
}

TEST(LinearGrouped, LookupIsTheReferenceDecoder) {
  for (const Form& form : forms()) {
    const EncodedTensor weight = grouped_weight(form);
    const Values decoded = testing::decoded(weight);
    const PackedWeight packed = packer(form.encoding)(weight, testing::pool_of(1));
    tensor::Matrix y(DType::f32, form.n, form.k);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(form.n));
    std::iota(ids.begin(), ids.end(), 0);
    row_reader(form.encoding)(packed, ids, y.view());
    EXPECT_EQ(testing::values_of(y), decoded) << form;
  }
}

TEST(LinearGrouped, RefusesWhatItCannotRead) {
  std::string why;
  for (const LinearKernel* kernel : testing::runnable(Activation::native)) {
    if (kernel->identity.encoding != Encoding::int4) continue;
    EXPECT_FALSE(testing::supports(*kernel, 8, 48));
  }
  EncodedTensor weight = grouped_weight({Encoding::fp8_e4m3, 3, 40, 0, false});
  tensor::Buffer codes(120, true);
  codes.data()[85] = std::byte{0xff};
  weight.codes = precision::share(std::move(codes));
  weight.codes.bytes = weight.codes.bytes.first(120);
  try {
    (void)packer(Encoding::fp8_e4m3)(weight, testing::pool_of(1));
    ADD_FAILURE() << "NaN was packed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::numeric);
    EXPECT_NE(std::string(error.what()).find("row 2, column 5"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace assay::kernels::cpu
