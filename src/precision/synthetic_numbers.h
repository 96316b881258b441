#pragma once

#include <cstdint>

#include "tensor/float16.h"

namespace assay::precision {

// Weights of synthetic models. Every element is a function of its tensor's key, its scale and its
// place, made from integer operations, one exact conversion, one f32 product and one rounding to
// bf16: any machine, in any order, on any device makes the same bits. The functions are constexpr,
// so that device code uses these very definitions (nvcc reads this header).

struct PhiloxPair {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
};

/// Philox2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): two random
/// words of a counter of two words and a key. Seven rounds are the fewest that pass BigCrush there.
inline constexpr int kPhiloxRounds = 7;
[[nodiscard]] constexpr PhiloxPair philox(std::uint32_t counter, std::uint32_t stream,
                                          std::uint32_t key, int rounds = kPhiloxRounds) {
  PhiloxPair x{counter, stream};
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t product = std::uint64_t{0xD256D193U} * x.first;
    x = {static_cast<std::uint32_t>(product >> 32) ^ key ^ x.second,
         static_cast<std::uint32_t>(product)};
    key += 0x9E3779B9U;
  }
  return x;
}

/// Nearly normal: the sum of a word's four bytes less its mean of 510, in [-510, 510].
[[nodiscard]] constexpr std::int32_t byte_sum(std::uint32_t bits) {
  const std::uint32_t pairs = (bits & 0x00ff00ffU) + ((bits >> 8) & 0x00ff00ffU);
  return static_cast<std::int32_t>((pairs + (pairs >> 16)) & 0x7ffU) - 510;
}
/// Of byte_sum: sqrt(4 (256^2 - 1) / 12).
inline constexpr double kByteSumDeviation = 147.80054127099805;

/// What tells a tensor's numbers from those of others.
struct SyntheticKey {
  std::uint32_t key = 0;
  std::uint32_t stream = 0;
};
/// Element `index` (row-major, below 2^33) of a matrix whose elements deviate by
/// scale x kByteSumDeviation.
[[nodiscard]] constexpr tensor::BFloat16 synthetic_element(SyntheticKey key, float scale,
                                                           std::uint64_t index) {
  const PhiloxPair words = philox(static_cast<std::uint32_t>(index >> 1), key.stream, key.key);
  const std::uint32_t word = (index & 1U) != 0 ? words.second : words.first;
  return tensor::BFloat16(static_cast<float>(byte_sum(word)) * scale);
}

}  // namespace assay::precision
