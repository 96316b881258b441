#include "precision/synthetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace assay::precision {
namespace {

SyntheticTensor matrix(std::int64_t rows, std::int64_t cols, double deviation = 0.02) {
  SyntheticTensor tensor;
  tensor.name = "w";
  tensor.rows = rows;
  tensor.cols = cols;
  tensor.key = synthetic_key(3, "w");
  tensor.scale = static_cast<float>(deviation / kByteSumDeviation);
  return tensor;
}

std::vector<float> values_of(const EncodedTensor& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.elements()));
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    info(weight.encoding)
        .decode_row(weight, r, std::span(values).subspan(r * weight.cols, weight.cols));
  }
  return values;
}

// Known answers of Random123, the paper's own library.
TEST(Synthetic, PhiloxGivesThePublishedAnswers) {
  const auto check = [](PhiloxPair x, std::uint32_t first, std::uint32_t second) {
    EXPECT_EQ(x.first, first);
    EXPECT_EQ(x.second, second);
  };
  check(philox(0, 0, 0), 0x257a3673, 0xcd26be2a);
  check(philox(~0U, ~0U, ~0U), 0xab302c4d, 0x3dc9d239);
  check(philox(0x243f6a88, 0x85a308d3, 0x13198a2e), 0xbedbbe6b, 0xe4c770b3);
  check(philox(0, 0, 0, 10), 0xff1dae59, 0x6cd10df2);
  check(philox(~0U, ~0U, ~0U, 10), 0x2c3f628b, 0xab4fd7ad);
  check(philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 10), 0xdd7ce038, 0xf62a4c12);
}

TEST(Synthetic, ByteSumAddsTheFourBytes) {
  for (const std::uint32_t word : {0U, ~0U, 0xff000000U, 0x00ff00ffU, 0x01020304U, 0x80808080U}) {
    std::int32_t sum = -510;
    for (int shift = 0; shift < 32; shift += 8) sum += (word >> shift) & 0xffU;
    EXPECT_EQ(byte_sum(word), sum) << word;
  }
  double squares = 0;
  for (int byte = 0; byte < 256; ++byte) squares += (byte - 127.5) * (byte - 127.5);
  EXPECT_NEAR(kByteSumDeviation, std::sqrt(4 * squares / 256), 1e-9);
}

// What stands in the file of one machine is what another makes: these figures must never change.
TEST(Synthetic, ElementsAreFixedForEver) {
  const SyntheticKey key = synthetic_key(1, "model.layers.0.mlp.down_proj.weight");
  std::uint64_t hash = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    hash = hash * 0x100000001b3U + synthetic_element(key, 0x1.3p-13F, i * 8388593).bits;
  }
  EXPECT_EQ(hash, 0x973337f31b3a73cfU) << std::hex << hash;
}

// Odd sizes, and enough elements for several threads.
TEST(Synthetic, TensorsAreTheirElementsInAnyOrder) {
  for (const auto& [rows, cols] : {std::pair{1, 1}, {3, 5}, {7, 64}, {701, 1001}}) {
    const SyntheticTensor tensor = matrix(rows, cols);
    const EncodedTensor weight = generate(tensor);
    ASSERT_EQ(weight.encoding, Encoding::bf16);
    const std::vector<float> values = values_of(weight);
    for (std::size_t i = values.size(); i-- > 0;) {
      ASSERT_EQ(values[i], tensor::to_float(synthetic_element(tensor.key, tensor.scale, i))) << i;
    }
  }
}

TEST(Synthetic, ElementsAreSpreadAsAsked) {
  const std::vector<float> values = values_of(generate(matrix(1000, 1000)));
  double sum = 0;
  double squares = 0;
  double neighbours = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += values[i];
    squares += double{values[i]} * values[i];
    if (i > 0) neighbours += double{values[i]} * values[i - 1];
  }
  const auto count = static_cast<double>(values.size());
  // Five standard errors of a mean, a variance (kurtosis 2.7) and a covariance.
  EXPECT_NEAR(sum / count, 0.0, 5 * 0.02 / std::sqrt(count));
  EXPECT_NEAR(squares / count / 0.0004, 1.0, 5 * std::sqrt(1.7 / count));
  EXPECT_NEAR(neighbours / count / 0.0004, 0.0, 5 / std::sqrt(count));
}

TEST(Synthetic, SeedsAndNamesGiveOtherNumbers) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> keys;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    for (const char* name : {"a", "b", "layers.1.x", "layers.2.x", "layers.11.x"}) {
      const SyntheticKey key = synthetic_key(seed, name);
      keys.insert({key.key, key.stream});
    }
  }
  EXPECT_EQ(keys.size(), 250U);
}

TEST(Synthetic, PatchesStandWhereTheySay) {
  SyntheticTensor tensor = matrix(4, 6);
  const std::vector<float> plain = values_of(generate(tensor));
  tensor.patches = {{.rows = {}, .columns = {1, 5}, .values = {8.0F, -8.0F}},
                    {.rows = {2}, .columns = {0}, .values = {0.5F}}};
  const std::vector<float> patched = values_of(generate(tensor));
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const std::size_t column = i % 6;
    const float expected = column == 1 ? 8.0F : column == 5 ? -8.0F : i == 12 ? 0.5F : plain[i];
    EXPECT_EQ(patched[i], expected) << i;
  }
}

TEST(Synthetic, VectorsLieAroundTheirCenter) {
  SyntheticTensor tensor = matrix(1, 1000);
  tensor.vector = true;
  tensor.center = 1.0F;
  double sum = 0;
  for (const float value : values_of(generate(tensor))) {
    EXPECT_NEAR(value, 1.0, 0.08);
    sum += value;
  }
  EXPECT_NEAR(sum / 1000, 1.0, 0.005);
}

}  // namespace
}  // namespace assay::precision
