#include "kernels/cuda/linear/layout.h"

#include <algorithm>
#include <array>

#include "precision/constants.h"

namespace assay::kernels::cuda::linear {

using precision::Encoding;

int code_bits(Encoding encoding) {
  // f32, f16, bf16, int8, nf4, fp4, q4_0, q4_1, q8_0, int4, uint8, fp8_e4m3
  constexpr std::array<int, 12> kBits = {32, 16, 16, 8, 4, 4, 4, 4, 8, 4, 8, 8};
  const auto at = static_cast<std::size_t>(encoding);
  return at < kBits.size() ? kBits[at] : 0;
}

std::int64_t packed_row_bytes(Encoding encoding, std::int64_t k) {
  return round_up(k * code_bits(encoding) / 8, 16);
}

Weight device_weight(const PackedWeight& weight, Encoding encoding) {
  Weight w;
  w.codes = weight.codes.as<std::uint8_t>();
  w.row_bytes = packed_row_bytes(encoding, weight.k);
  w.n = static_cast<std::int32_t>(weight.n);
  w.k = static_cast<std::int32_t>(weight.k);
  w.depth = static_cast<std::int32_t>(w.row_bytes * 8 / code_bits(encoding));
  w.scales = weight.scales.data();
  const bool extra = weight.extra.size() > 0;
  if (weight.group > 0) {
    w.group = static_cast<std::int32_t>(weight.group);
    w.groups = static_cast<std::int32_t>((weight.k + weight.group - 1) / weight.group);
    w.zeros = weight.scales.as<std::uint8_t>() + weight.n * w.groups * 4;
    if (extra) w.order = weight.extra.as<std::int32_t>();
  } else if (extra) {
    w.nested = weight.extra.as<float>();
    w.offset = weight.offset;
  }
  const auto& table = encoding == Encoding::fp4 ? precision::kFp4Table : precision::kNf4Table;
  std::copy(table.begin(), table.end(), w.table);
  return w;
}

}  // namespace assay::kernels::cuda::linear
