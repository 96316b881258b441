#include <cmath>

#include "kernels/cpu/linear/block_scales.h"
#include "kernels/cpu/linear/pack_panels.h"

namespace assay::kernels::cpu {
namespace {

using precision::BlockCodes;
using precision::BlockForm;

/// Bits [shift, shift + Width) of 32 codes as `Width` words, from word `row` on.
template <int Width>
void put_plane(const PanelJob& job, std::int64_t c, std::int64_t row, const std::uint8_t* codes,
               int shift) {
  constexpr int kPerWord = 32 / Width;
  constexpr std::uint32_t kMask = (1U << Width) - 1U;
  for (int w = 0; w < Width; ++w) {
    std::uint32_t word = 0;
    for (int j = 0; j < kPerWord; ++j) {
      word |= (static_cast<std::uint32_t>(codes[w * kPerWord + j]) >> shift & kMask) << (Width * j);
    }
    put_word(job, c, row + w, word);
  }
}

void put_unit(const PanelJob& job, std::int64_t c, std::int64_t unit, const std::uint8_t* codes,
              int bits) {
  const std::int64_t row = unit * bits;
  const int low = bits >= 4 ? 4 : 2;
  if (low == 4) put_plane<4>(job, c, row, codes, 0);
  if (low == 2) put_plane<2>(job, c, row, codes, 0);
  if (bits - low == 2) put_plane<2>(job, c, row + low, codes, low);
  if (bits - low == 1) put_plane<1>(job, c, row + low, codes, low);
}

/// 6 * 2^126 is beyond f32; below this exponent every code is finite.
constexpr int kLargeExponent = 253;

void check_exponent(const PanelJob& job, std::int64_t c, const BlockForm& form,
                    const BlockCodes& block) {
  if (block.exponent < kLargeExponent) return;
  const float scale = precision::power_of_two(block.exponent);
  for (int j = 0; j < form.block; ++j) {
    const float value = precision::code_value(form, block.codes[static_cast<std::size_t>(j)]);
    if (std::isfinite(scale) && std::isfinite(value * scale)) continue;
    fail(ErrorCode::numeric, "a block with exponent {} in row {} of the weight is not finite",
         block.exponent, job.row0 + c);
  }
}

void put_scales(const PanelJob& job, const BlockScaleLayout& layout, std::int64_t c, std::int64_t b,
                const BlockCodes& block) {
  for (std::int64_t i = 0; i < layout.number_rows; ++i) {
    put_half(job, c, b * layout.number_rows + i, block.numbers[static_cast<std::size_t>(i)]);
  }
  std::byte* bytes = job.scales + layout.number_bytes() + b * layout.byte_rows * kPanel + c;
  if (layout.number_rows == 0) {
    check_exponent(job, c, layout.form, block);
    *bytes = static_cast<std::byte>(block.exponent);
    return;
  }
  if (layout.byte_rows == 0) return;
  for (std::size_t g = 0; g < static_cast<std::size_t>(layout.form.groups()); ++g) {
    *bytes = static_cast<std::byte>(block.scales[g]);
    if (layout.nibbles) *bytes |= static_cast<std::byte>(block.minima[g] << 4);
    bytes += kPanel;
    if (layout.parts == 1 || layout.nibbles) continue;
    *bytes = static_cast<std::byte>(block.minima[g]);
    bytes += kPanel;
  }
}

}  // namespace

PackedWeight pack_blocks(const precision::EncodedTensor& weight, base::ThreadPool& pool) {
  const BlockForm& form = *precision::info(weight.encoding).blocks;
  const BlockScaleLayout layout(form, weight.cols);
  return pack_panels(weight, layout.bytes(), pool, [&](const PanelJob& job) {
    BlockCodes block;
    for (std::int64_t c = 0; c < job.columns; ++c) {
      const std::byte* from =
          weight.codes.bytes.data() + (job.row0 + c) * layout.blocks * form.bytes;
      for (std::int64_t b = 0; b < layout.blocks; ++b, from += form.bytes) {
        form.unpack(from, block);
        put_scales(job, layout, c, b, block);
        for (std::int64_t i = 0; i < form.block; i += kPlaneUnit) {
          put_unit(job, c, (b * form.block + i) / kPlaneUnit, block.codes.data() + i, form.bits);
        }
      }
    }
  });
}

}  // namespace assay::kernels::cpu
