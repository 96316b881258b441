#include "base/hash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace assay::base {
namespace {

// FIPS 180-2, appendix B, and the empty message.
TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesEqualTheWhole) {
  Sha256 hash;
  hash.update("a");
  hash.update("");
  hash.update("bc");
  EXPECT_EQ(hash.hex(), sha256_hex("abc"));
}

// First outputs of SplitMix64 for seed 0 (Vigna's reference program).
TEST(Random, IsSplitMix64) {
  Random random(0);
  EXPECT_EQ(random.next(), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(random.next(), 0x6e789e6aa1b965f4ULL);
  EXPECT_EQ(random.next(), 0x06c45d188009454fULL);
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  constexpr int kCount = 200000;
  Random random(7);
  double sum = 0, normal_sum = 0, normal_squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    const double z = random.normal();
    ASSERT_TRUE(std::isfinite(z));
    normal_sum += z;
    normal_squares += z * z;
  }
  // Five standard errors: 0.289, 1 and 1.41 divided by sqrt(200000).
  EXPECT_NEAR(sum / kCount, 0.5, 0.0033);
  EXPECT_NEAR(normal_sum / kCount, 0.0, 0.0112);
  EXPECT_NEAR(normal_squares / kCount, 1.0, 0.0159);
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  Random random(1);
  int seen = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = random.below(5);
    ASSERT_LT(value, 5U);
    seen |= 1 << value;
  }
  EXPECT_EQ(seen, 31);
}

}  // namespace
}  // namespace assay::base
