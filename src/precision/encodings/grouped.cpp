#include "precision/encodings/grouped.h"

namespace assay::precision {
namespace {

/// Code(j) is that of stored column j.
template <typename Code>
void decode_groups(const EncodedTensor& tensor, std::int64_t r, std::span<float> out,
                   const Code& code) {
  const Grouping& groups = *tensor.groups;
  const std::int64_t count = (tensor.cols + groups.size - 1) / groups.size;
  for (std::int64_t j = 0; j < tensor.cols; ++j) {
    const auto at = static_cast<std::size_t>(r * count + j / groups.size);
    const auto column = static_cast<std::size_t>(j);
    const std::size_t to =
        groups.order.empty() ? column : static_cast<std::size_t>(groups.order[column]);
    out[to] = static_cast<float>(code(j) - int{groups.zeros[at]}) * tensor.scales[at];
  }
}

}  // namespace

std::int64_t int4_code_bytes(std::int64_t rows, std::int64_t cols) {
  return checked_elements(rows, (checked_elements(1, cols) + 1) / 2);
}

std::int64_t uint8_code_bytes(std::int64_t rows, std::int64_t cols) {
  return checked_elements(rows, cols);
}

void decode_int4(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* row = tensor.codes.bytes.data() + r * ((tensor.cols + 1) / 2);
  decode_groups(tensor, r, out,
                [&](std::int64_t j) { return static_cast<int>(row[j / 2] >> (j % 2 * 4)) & 0xf; });
}

void decode_uint8(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  const std::byte* row = tensor.codes.bytes.data() + r * tensor.cols;
  decode_groups(tensor, r, out, [&](std::int64_t j) { return static_cast<int>(row[j]); });
}

}  // namespace assay::precision
