#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "precision/encoding.h"
#include "precision/synthetic_numbers.h"

namespace assay::precision {

[[nodiscard]] SyntheticKey synthetic_key(std::uint64_t seed, std::string_view tensor);

/// Elements that are no random numbers: in each of `rows` (empty: in all), column columns[i] has
/// values[i].
struct SyntheticPatch {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> columns;
  std::vector<float> values;
};

/// Everything about one synthetic tensor. A matrix has random elements; a vector (rows == 1 and
/// `vector`) has them around `center`, and devices take it from the host.
struct SyntheticTensor {
  std::string name;
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  bool vector = false;
  SyntheticKey key;
  float scale = 0.0F;
  float center = 0.0F;
  std::vector<SyntheticPatch> patches;
};

/// The tensor in bf16; large ones are made by all threads that this process may use.
[[nodiscard]] EncodedTensor generate(const SyntheticTensor& tensor);

}  // namespace assay::precision
