// int4, uint8 and fp8_e4m3 have no encoder: their weights are made of random codes here.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/cpu/linear/pack.h"
#include "linear_testing.h"

namespace assay::kernels::cpu {
namespace {

using precision::Activation;
using precision::EncodedTensor;
using precision::Encoding;
using tensor::DType;
using testing::Values;

struct Form {
  Encoding encoding;
  std::int64_t n;
  std::int64_t k;
  std::int64_t group;
  bool shuffled;
};
std::ostream& operator<<(std::ostream& out, const Form& f) {
  return out << precision::name_of(f.encoding) << " [" << f.n << ", " << f.k << "] by " << f.group
             << (f.shuffled ? ", act-order" : "");
}

std::shared_ptr<const precision::Grouping> random_groups(const Form& form, std::mt19937& random) {
  auto groups = std::make_shared<precision::Grouping>();
  groups->size = form.group;
  const std::int64_t count = form.n * ((form.k + form.group - 1) / form.group);
  const unsigned levels = form.encoding == Encoding::int4 ? 16 : 256;
  for (std::int64_t i = 0; i < count; ++i) {
    groups->zeros.push_back(static_cast<std::uint8_t>(random() % levels));
  }
  if (form.shuffled) {
    groups->order.resize(static_cast<std::size_t>(form.k));
    std::iota(groups->order.begin(), groups->order.end(), 0);
    std::shuffle(groups->order.begin(), groups->order.end(), random);
  }
  return groups;
}

/// Scales of 16 bits, as checkpoints have them: decoding is then exact in f32.
EncodedTensor random_weight(const Form& form) {
  std::mt19937 random(static_cast<unsigned>(form.n * 1000 + form.k));
  const auto bytes = precision::info(form.encoding).code_bytes(form.n, form.k);
  tensor::Buffer codes(static_cast<std::size_t>(bytes));
  const bool fp8 = form.encoding == Encoding::fp8_e4m3;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    auto code = static_cast<std::uint8_t>(random());
    if (fp8 && (code & 0x7fU) == 0x7fU) code = 0x7e;  // NaN is refused
    codes.data()[i] = static_cast<std::byte>(code);
  }
  EncodedTensor weight{.encoding = form.encoding,
                       .rows = form.n,
                       .cols = form.k,
                       .codes = precision::share(std::move(codes)),
                       .scales = {}};
  if (!fp8) weight.groups = random_groups(form, random);
  const std::size_t scales = fp8 ? static_cast<std::size_t>(form.n) : weight.groups->zeros.size();
  for (std::size_t i = 0; i < scales; ++i) {
    const float scale = 0.001F + 0.0001F * static_cast<float>(random() % 100);
    weight.scales.push_back(tensor::rounded<tensor::Float16>(scale));
  }
  return weight;
}

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
    const EncodedTensor weight = random_weight(form);
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
    const EncodedTensor weight = random_weight(form);
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
  EncodedTensor weight = random_weight({Encoding::fp8_e4m3, 3, 40, 0, false});
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
