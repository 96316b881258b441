#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/cpu/linear/layout.h"
#include "kernels/cpu/linear/pack.h"

// What the packers share.
namespace assay::kernels::cpu {

template <typename T>
[[nodiscard]] T load_unaligned(const std::byte* from) {  // a mapped file promises no alignment
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

[[nodiscard]] inline bool finite_half(std::uint16_t bits) { return (bits & 0x7c00U) != 0x7c00U; }

inline void require_codes(const precision::EncodedTensor& weight) {
  const std::int64_t bytes = precision::info(weight.encoding).code_bytes(weight.rows, weight.cols);
  if (static_cast<std::int64_t>(weight.codes.bytes.size()) >= bytes) return;
  fail(ErrorCode::internal, "a {} weight of {} x {} has {} bytes of codes in place of {}",
       precision::name_of(weight.encoding), weight.rows, weight.cols, weight.codes.bytes.size(),
       bytes);
}

/// Where a panel's columns come from and go to.
struct PanelJob {
  std::int64_t row0;     ///< first row of the weight
  std::int64_t columns;  ///< rows that exist, at most kPanel
  std::int64_t k;
  std::byte* codes;
  std::byte* scales;  ///< of this panel; may be nullptr
};

/// Allocates a packed weight and calls fill(job) for every panel, in parallel. Panels that are not
/// full, or deeper than k, start as zeros.
template <typename Fill>
PackedWeight pack_panels(const precision::EncodedTensor& weight, std::int64_t panel_scale_bytes,
                         base::ThreadPool& pool, const Fill& fill) {
  require_codes(weight);
  const std::int64_t panels = panel_count(weight.rows);
  const std::int64_t bytes = panel_bytes(weight.encoding, weight.cols);
  PackedWeight packed;
  packed.n = weight.rows;
  packed.k = weight.cols;
  packed.codes = tensor::Buffer::lasting(static_cast<std::size_t>(panels * bytes));
  packed.scales = tensor::Buffer::lasting(static_cast<std::size_t>(panels * panel_scale_bytes));
  packed.rest.encoding = weight.encoding;
  packed.rest.rows = weight.rows;
  packed.rest.cols = weight.cols;
  packed.rest.nested = weight.nested;
  pool.parallel_for(panels, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      PanelJob job{p * kPanel, std::min(kPanel, weight.rows - p * kPanel), weight.cols,
                   packed.codes.data() + p * bytes, packed.scales.data() + p * panel_scale_bytes};
      std::memset(job.codes, 0, static_cast<std::size_t>(bytes));
      std::fill_n(job.scales, panel_scale_bytes, std::byte{0});
      fill(job);
    }
  });
  return packed;
}

/// Puts the bits of an f16 number of column c into row `row` of the panel's f16 numbers.
inline void put_half(const PanelJob& job, std::int64_t c, std::int64_t row, std::uint16_t bits) {
  if (!finite_half(bits)) {
    fail(ErrorCode::numeric, "a block scale in row {} of the weight is NaN or infinite",
         job.row0 + c);
  }
  std::memcpy(job.scales + (row * kPanel + c) * 2, &bits, 2);
}

/// Word `row` of column c's codes.
inline void put_word(const PanelJob& job, std::int64_t c, std::int64_t row, std::uint32_t word) {
  std::memcpy(job.codes + (row * kPanel + c) * 4, &word, 4);
}

/// For every encoding with EncodingInfo::blocks.
[[nodiscard]] PackedWeight pack_blocks(const precision::EncodedTensor& weight,
                                       base::ThreadPool& pool);

}  // namespace assay::kernels::cpu
