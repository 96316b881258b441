#pragma once

#include "kernels/cpu/linear/layout.h"
#include "precision/encodings/blocks.h"

// Where the scales of an encoding with EncodingInfo::blocks lie in a panel.
namespace assay::kernels::cpu {

struct BlockScaleLayout {
  const precision::BlockForm& form;
  std::int64_t blocks;       ///< of a row
  std::int64_t number_rows;  ///< rows of kPanel f16 numbers, for each block
  std::int64_t parts;        ///< 2 with minima
  bool nibbles;              ///< scale (low) and minimum of a group share a byte
  std::int64_t byte_rows;    ///< rows of kPanel bytes, for each block

  BlockScaleLayout(const precision::BlockForm& block_form, std::int64_t k)
      : form(block_form),
        blocks(k / block_form.block),
        number_rows(block_form.numbers()),
        parts(block_form.has_minima() ? 2 : 1),
        nibbles(block_form.scales == precision::BlockScales::nibbles_minima),
        byte_rows(block_form.has_groups() ? form.groups() * (nibbles ? 1 : parts)
                  : block_form.scales == precision::BlockScales::power_of_two ? 1
                                                                              : 0) {}

  /// Of a panel; the f16 numbers come first.
  [[nodiscard]] std::int64_t number_bytes() const { return blocks * number_rows * kPanel * 2; }
  [[nodiscard]] std::int64_t bytes() const { return number_bytes() + blocks * byte_rows * kPanel; }
};

}  // namespace assay::kernels::cpu
