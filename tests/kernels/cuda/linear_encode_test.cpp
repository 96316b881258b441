#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "base/hash.h"
#include "kernels/cuda/linear_device.h"
#include "precision/golden.h"

// Weights on the device: what is packed, what is encoded there, and what is looked up, bit for bit
// as the reference encoders and decoders have it.
namespace assay::kernels::cuda {
namespace {

using cpu::testing::random_values;
using testing::Activation;
using testing::DType;
using testing::Encoding;
using testing::is_four_bit;
using testing::random_weight;
using testing::Values;

class CudaWeights : public testing::OnDevice {};

const LinearKernel& kernel_of(Encoding encoding) {
  for (const LinearKernel* kernel : testing::runnable()) {
    if (kernel->identity.encoding == encoding) return *kernel;
  }
  ADD_FAILURE() << "no kernel of " << precision::name_of(encoding);
  return linear_kernels().front();
}

std::vector<Encoding> encodings() {
  std::vector<Encoding> all;
  for (const precision::EncodingInfo& info : precision::all_encodings()) {
    for (const LinearKernel* kernel : testing::runnable()) {
      if (kernel->identity.encoding != info.id) continue;
      all.push_back(info.id);
      break;
    }
  }
  return all;
}

Values looked_up(const LinearKernel& kernel, const PackedWeight& packed,
                 const std::vector<std::int32_t>& ids, DType type) {
  const tensor::Buffer there = testing::on_device(ids);
  testing::Poisoned y(type, static_cast<std::int64_t>(ids.size()), packed.k, 3);
  y.upload();
  EXPECT_EQ(kernel.lookup(packed, there.as<std::int32_t>(), y.view(), testing::stream()),
            kernel.lookup_identity);
  EXPECT_TRUE(y.download());
  return y.values();
}

void expect_rows(const LinearKernel& kernel, const PackedWeight& packed,
                 const precision::EncodedTensor& weight, const std::string& what) {
  const std::vector<std::int32_t> ids = {static_cast<std::int32_t>(weight.rows - 1), 0, 0,
                                         static_cast<std::int32_t>(weight.rows / 2)};
  const Values decoded = cpu::testing::decoded(weight);
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const Values y = looked_up(kernel, packed, ids, type);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const auto k = static_cast<std::size_t>(weight.cols);
      const float wanted =
          cpu::testing::rounded_to(type, decoded[static_cast<std::size_t>(ids[i / k]) * k + i % k]);
      // Zeros of either sign are equal: fp4 has two.
      ASSERT_EQ(y[i], wanted) << what << " element " << i;
    }
  }
}

TEST_F(CudaWeights, RowsComeBackAsTheReferenceDecodesThem) {
  unsigned seed = 1;
  for (const Encoding encoding : encodings()) {
    const LinearKernel& kernel = kernel_of(encoding);
    for (const std::int64_t depth : {1, 33, 64, 200, 1100}) {
      for (const bool nested : {false, true}) {
        if (nested && !is_four_bit(encoding)) continue;
        const auto weight =
            random_weight(encoding, 70, testing::fitting_depth(encoding, depth), ++seed, nested);
        expect_rows(kernel, kernel.pack(weight, testing::stream()), weight,
                    fmt::format("{} k={}", precision::name_of(encoding), weight.cols));
        if (HasFatalFailure()) return;
      }
    }
  }
}

/// A weight larger than the pinned memory that it goes through.
TEST_F(CudaWeights, LargeWeightsGoInParts) {
  const LinearKernel& kernel = kernel_of(Encoding::f32);
  const auto weight =
      cpu::testing::encode(Encoding::f32, random_values(3000 * 1500, 3), 3000, 1500);
  expect_rows(kernel, kernel.pack(weight, testing::stream()), weight, "3000 x 1500");
}

TEST_F(CudaWeights, WhatIsNotFiniteIsRefused) {
  const auto failure = [](const precision::EncodedTensor& weight) -> std::string {
    try {
      (void)kernel_of(weight.encoding).pack(weight, testing::stream());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::numeric);
      return error.what();
    }
    return "packed";
  };
  Values values = random_values(4 * 64, 5);
  values[2 * 64 + 9] = std::numeric_limits<float>::quiet_NaN();
  precision::EncodedTensor weight = random_weight(Encoding::f32, 4, 64, 6);
  weight.codes.bytes = std::as_bytes(std::span(values));
  EXPECT_NE(failure(weight).find("row 2, column 9"), std::string::npos);
  for (const Encoding encoding : {Encoding::int8, Encoding::nf4, Encoding::fp8_e4m3}) {
    precision::EncodedTensor bad = random_weight(encoding, 4, 64, 6);
    bad.scales[3] = std::numeric_limits<float>::infinity();
    EXPECT_NE(failure(bad).find("scale 3"), std::string::npos) << precision::name_of(encoding);
  }
  for (const Encoding encoding : {Encoding::q4_0, Encoding::q4_1, Encoding::q8_0}) {
    const auto good = random_weight(encoding, 4, 64, 6);
    std::vector<std::byte> bytes(good.codes.bytes.begin(), good.codes.bytes.end());
    const auto block = static_cast<std::size_t>(bytes.size() / 8);
    bytes[block] = std::byte{0};
    bytes[block + 1] = std::byte{0x7c};
    precision::EncodedTensor bad = good;
    bad.codes.bytes = bytes;
    EXPECT_NE(failure(bad).find("scale"), std::string::npos) << precision::name_of(encoding);
  }
}

std::vector<std::byte> bytes_of(const tensor::Buffer& buffer) {
  return testing::from_device<std::byte>(buffer);
}

/// The weight encoded on the device is the reference's, packed.
void expect_encoded(const Values& values, std::int64_t n, std::int64_t k, DType type,
                    Encoding encoding, bool nested) {
  const LinearKernel& kernel = kernel_of(encoding);
  testing::Poisoned matrix(type, n, k, 5);
  matrix.set(values);
  matrix.upload();
  const PackedWeight ours =
      encode_on_device(matrix.view(), encoding, nested, kernel, testing::stream());
  Values rounded = values;
  for (float& v : rounded) v = cpu::testing::rounded_to(type, v);
  const auto reference = cpu::testing::encode(encoding, rounded, n, k, nested);
  const PackedWeight wanted = kernel.pack(reference, testing::stream());
  const std::string what = fmt::format("{}{} of {} x {} {}", nested ? "nested " : "",
                                       precision::name_of(encoding), n, k, tensor::name_of(type));
  EXPECT_EQ(ours.bytes(), wanted.bytes()) << what;
  EXPECT_TRUE(bytes_of(ours.codes) == bytes_of(wanted.codes)) << what;
  EXPECT_TRUE(bytes_of(ours.scales) == bytes_of(wanted.scales)) << what;
  EXPECT_TRUE(bytes_of(ours.extra) == bytes_of(wanted.extra)) << what;
  EXPECT_EQ(std::bit_cast<std::uint32_t>(ours.offset), std::bit_cast<std::uint32_t>(wanted.offset))
      << what;
}

/// Many magnitudes, rows and blocks of zeros, denormals.
Values hard_values(std::int64_t n, std::int64_t k, std::uint64_t seed) {
  base::Random random(seed);
  Values values(static_cast<std::size_t>(n * k));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double magnitude = std::pow(10.0, static_cast<double>(i / 64 % 9) - 6.0);
    values[i] = static_cast<float>(random.normal() * magnitude);
  }
  std::fill_n(values.begin(), k, 0.0F);
  if (n > 2) std::fill_n(values.begin() + 2 * k, k, 1e-40F);
  return values;
}

TEST_F(CudaWeights, EncodedOnTheDeviceBitForBit) {
  for (const Encoding encoding : encodings()) {
    for (const bool nested : {false, true}) {
      if (!can_encode_on_device(encoding, nested)) continue;
      std::uint64_t seed = 70;
      for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{1, 64},
                                 {3, 128},
                                 {37, 320},
                                 {256, 1024},
                                 {500, 704}}) {
        const DType type = seed % 3 == 0 ? DType::f32 : seed % 3 == 1 ? DType::bf16 : DType::f16;
        expect_encoded(hard_values(n, k, ++seed), n, k, type, encoding, nested);
        expect_encoded(random_values(n * k, 80, 0.02F), n, k, DType::bf16, encoding, nested);
      }
      if (precision::info(encoding).block <= 1) {
        expect_encoded(hard_values(5, 77, 90), 5, 77, DType::f32, encoding, nested);
      }
    }
  }
}

precision::SyntheticTensor synthetic_matrix(std::int64_t n, std::int64_t k, bool patched) {
  precision::SyntheticTensor matrix{.name = fmt::format("m{}x{}", n, k), .rows = n, .cols = k};
  matrix.key = precision::synthetic_key(3, matrix.name);
  matrix.scale = 0.02F / 147.8F;
  if (patched) {
    matrix.patches.push_back({.rows = {}, .columns = {0, k - 1}, .values = {10.0F, -0.3F}});
    matrix.patches.push_back({.rows = {n - 1, n / 2}, .columns = {k / 2}, .values = {1.0F / 3}});
  }
  return matrix;
}

/// Made on the device, a synthetic weight has the bits that the host makes, in every encoding.
TEST_F(CudaWeights, SyntheticOnTheDeviceBitForBit) {
  for (const Encoding encoding : encodings()) {
    const LinearKernel& kernel = kernel_of(encoding);
    for (const bool nested : {false, true}) {
      if (!can_encode_on_device(encoding, nested)) continue;
      for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{1, 64},
                                 {37, 320},
                                 {500, 704},
                                 {5, 77},
                                 {3, 3},
                                 {1000, 1},
                                 {70'000, 192}}) {
        if (k % std::max(precision::info(encoding).block, 1) != 0) continue;
        const auto matrix = synthetic_matrix(n, k, k > 100);
        const PackedWeight ours =
            synthesize_on_device(matrix, encoding, nested, kernel, testing::stream());
        const auto reference = cpu::testing::encode(
            encoding, cpu::testing::decoded(precision::generate(matrix)), n, k, nested);
        const PackedWeight wanted = kernel.pack(reference, testing::stream());
        const std::string what = fmt::format("{} {} x {}", precision::name_of(encoding), n, k);
        EXPECT_EQ(ours.bytes(), wanted.bytes()) << what;
        EXPECT_TRUE(bytes_of(ours.codes) == bytes_of(wanted.codes)) << what;
        EXPECT_TRUE(bytes_of(ours.scales) == bytes_of(wanted.scales)) << what;
        EXPECT_TRUE(bytes_of(ours.extra) == bytes_of(wanted.extra)) << what;
      }
    }
  }
}

TEST_F(CudaWeights, ValuesThatCannotBeEncodedAreNamed) {
  for (const Encoding encoding : encodings()) {
    if (!can_encode_on_device(encoding, false)) continue;
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      Values values = random_values(6 * 64, 91);
      values[3 * 64 + 11] = value;
      testing::Poisoned matrix(DType::f32, 6, 64, 0);
      matrix.set(values);
      matrix.upload();
      try {
        (void)encode_on_device(matrix.view(), encoding, false, kernel_of(encoding),
                               testing::stream());
        ADD_FAILURE() << precision::name_of(encoding);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::numeric);
        EXPECT_NE(std::string(error.what()).find("row 3"), std::string::npos) << error.what();
      }
    }
  }
}

/// A golden weight of the package: its values, codes and scales.
struct Golden {
  Values values;
  precision::EncodedTensor encoded;
};

/// 4-bit blocks cross rows there: whole blocks are taken as rows of 64.
Golden read_golden_weight(const Json& json, Encoding encoding) {
  Values values = precision::unhex<float>(json.at("values"));
  auto codes = precision::unhex<std::uint8_t>(json.at("codes"));
  auto absmax = precision::unhex<float>(json.at("absmax"));
  std::int64_t rows = json.at("rows"), cols = json.at("cols");
  if (is_four_bit(encoding)) {
    rows = rows * cols / 64;
    cols = 64;
    const auto whole = static_cast<std::size_t>(rows);
    values.resize(whole * 64);
    codes.resize(whole * 32);
    absmax.resize(whole);
  }
  tensor::Buffer bytes(codes.size());
  std::memcpy(bytes.data(), codes.data(), codes.size());
  return {std::move(values),
          {.encoding = encoding,
           .rows = rows,
           .cols = cols,
           .codes = precision::share(std::move(bytes)),
           .scales = std::move(absmax)}};
}

/// Codes and scales of bitsandbytes' CPU and CUDA paths. fp4's two zeros are one value.
int compare_with_package(const Json& cases, std::optional<Encoding> only) {
  int compared = 0;
  for (const Json& json : cases) {
    const Encoding encoding =
        only ? *only : precision::find_encoding(json.at("encoding").get<std::string>())->id;
    const auto [values, golden] = read_golden_weight(json, encoding);
    SCOPED_TRACE(json.at("name").get<std::string>());
    const LinearKernel& kernel = kernel_of(encoding);
    testing::Poisoned matrix(DType::f32, golden.rows, golden.cols, 0);
    matrix.set(values);
    matrix.upload();
    const PackedWeight ours =
        encode_on_device(matrix.view(), encoding, false, kernel, testing::stream());
    const PackedWeight theirs = kernel.pack(golden, testing::stream());
    EXPECT_TRUE(bytes_of(ours.scales) == bytes_of(theirs.scales));
    if (encoding != Encoding::fp4) {
      EXPECT_TRUE(bytes_of(ours.codes) == bytes_of(theirs.codes));
    }
    std::vector<std::int32_t> all(static_cast<std::size_t>(golden.rows));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(looked_up(kernel, ours, all, DType::f32), looked_up(kernel, theirs, all, DType::f32));
    ++compared;
  }
  return compared;
}

TEST_F(CudaWeights, EncodedOnTheDeviceAsThePackageDoesIt) {
  EXPECT_GE(compare_with_package(precision::golden_cases("four_bit.json", "cases"), {}), 12);
  EXPECT_GE(compare_with_package(precision::golden_cases("int8.json", "weights"), Encoding::int8),
            3);
}

}  // namespace
}  // namespace assay::kernels::cuda
