// fp8 E4M3 as we encode it: nearest codes, ties to even, a scale for each row.
#include <gtest/gtest.h>

#include <cmath>

#include "base/hash.h"
#include "precision/constants.h"
#include "precision/encodings/fp8_e4m3.h"

namespace assay::precision {
namespace {

TEST(Fp8, EveryCodeIsItsOwnNearest) {
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<std::uint8_t>(code);
    const float value = fp8_e4m3_value(byte);
    if (std::isnan(value)) continue;
    EXPECT_EQ(fp8_e4m3_code(value), byte) << value;
  }
}

TEST(Fp8, TakesTheNearestAndOfTwoTheEven) {
  base::Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const auto x = static_cast<float>(random.normal() * std::pow(2.0, random.below(20)) * 1e-3);
    const double chosen = fp8_e4m3_value(fp8_e4m3_code(x));
    const double limited = std::min<double>(std::abs(x), kFp8Largest);
    for (int code = 0; code < 127; ++code) {
      const double other = fp8_e4m3_value(static_cast<std::uint8_t>(code));
      ASSERT_LE(std::abs(std::abs(chosen) - limited), std::abs(other - limited)) << x;
    }
  }
  for (int code = 0; code < 126; ++code) {
    const float low = fp8_e4m3_value(static_cast<std::uint8_t>(code));
    const float high = fp8_e4m3_value(static_cast<std::uint8_t>(code + 1));
    EXPECT_EQ(fp8_e4m3_code((low + high) / 2) % 2, 0) << code;
  }
  EXPECT_EQ(fp8_e4m3_code(1e9F), 0x7e);
  EXPECT_EQ(fp8_e4m3_code(-1e9F), 0xfe);
}

TEST(Fp8, RowsHaveTheirOwnScale) {
  const std::vector<float> values = {1.0F, -448.0F, 0.5F, 0.25F, 0.125F, -0.0625F, 0, 0, 0};
  const EncodedTensor tensor = info(Encoding::fp8_e4m3).encode(values, 3, 3);
  EXPECT_EQ(tensor.scales, (std::vector<float>{1.0F, 0.25F / 448.0F, 0.0F}));
  std::vector<float> row(3);
  info(Encoding::fp8_e4m3).decode_row(tensor, 1, row);
  EXPECT_EQ(row, (std::vector<float>{0.25F, 0.125F, -0.0625F}));
  info(Encoding::fp8_e4m3).decode_row(tensor, 2, row);
  EXPECT_EQ(row, (std::vector<float>{0.0F, 0.0F, 0.0F}));
}

}  // namespace
}  // namespace assay::precision
