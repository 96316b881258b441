#include <algorithm>

#include "kernels/cpu/linear/block_scales.h"
#include "kernels/cpu/linear/pack.h"
#include "kernels/cpu/linear/panel_ops.h"
#include "kernels/cpu/linear/scales.h"

namespace assay::kernels::cpu {
namespace {

const std::byte* panel_codes(const PackedWeight& weight, std::int64_t panel) {
  return weight.codes.data() + panel * panel_bytes(weight.rest.encoding, weight.k);
}

/// Block scales of one panel from their second quantization, as nested_scale() has them.
void decode_nested(const PackedWeight& weight, std::int64_t panel, float* out) {
  const precision::DoubleQuant& nested = *weight.rest.nested;
  const std::int64_t blocks = weight.k / precision::kFourBitBlock;
  for (std::int64_t c = 0; c < kPanel; ++c) {
    const std::int64_t first = (panel * kPanel + c) * blocks;
    const std::int64_t end = panel * kPanel + c < weight.n ? first + blocks : first;
    float* to = out + c;
    for (std::int64_t b = first; b < end;) {
      const std::int64_t group = b / precision::kNestedBlock;
      const std::int64_t stop = std::min(end, (group + 1) * precision::kNestedBlock);
      const float absmax = nested.absmax[static_cast<std::size_t>(group)];
      const std::uint8_t* codes = nested.codes.data();
      for (; b < stop; ++b, to += kPanel) {
        *to = precision::kSignedDynamicMap[codes[b]] * absmax + nested.offset;
      }
    }
    for (; to < out + blocks * kPanel; to += kPanel) *to = 0.0F;
  }
}

/// nf4 and fp4 whose blocks lie within rows.
PanelSource source_four_bit(const PackedWeight& weight, std::int64_t panel, const float* table,
                            float* scratch) {
  PanelSource source{
      .codes = panel_codes(weight, panel), .table = table, .block = precision::kFourBitBlock};
  if (weight.rest.nested != nullptr) {
    decode_nested(weight, panel, scratch);
    source.scales = scratch;
  } else {
    const std::int64_t blocks = weight.k / precision::kFourBitBlock;
    source.scales = weight.scales.as<float>() + panel * blocks * kPanel;
  }
  return source;
}

/// f16 numbers of this panel, `per_block` rows of kPanel for each block.
void half_scales(const PackedWeight& weight, std::int64_t panel, std::int64_t per_block,
                 const NativeOps& ops, float* out) {
  const std::int64_t count = weight.k / precision::kGgufBlock * per_block * kPanel;
  ops.half_to_float(weight.scales.as<std::uint16_t>() + panel * count, count, out);
}

/// Scales of blocks of 64 or 32 columns and, beside each, -zero * scale in f32, from the scales and
/// zeros of groups: a kernel's block may be no longer than the depth that it decodes at a time.
/// code * scale + minimum is then (code - zero) * scale rounded once: with scales of 16 bits both
/// products are exact. `offset` is what the kernel's codes are lower by.
PanelSource source_grouped(const PackedWeight& weight, std::int64_t panel, int offset,
                           float* scratch) {
  const std::int64_t size = weight.rest.groups->size;
  const std::int64_t block = size % (2 * kGroupUnit) == 0 ? 2 * kGroupUnit : kGroupUnit;
  const std::int64_t groups = (weight.k + size - 1) / size;
  const std::byte* at = weight.scales.data() + panel * groups * kPanel * 5;
  const auto* scales = reinterpret_cast<const float*>(at);
  const std::byte* zeros = at + groups * kPanel * 4;
  float* out = scratch;
  for (std::int64_t i = 0; i < weight.k; i += block, out += 2 * kPanel) {
    const std::int64_t group = i / size * kPanel;
    for (std::int64_t c = 0; c < kPanel; ++c) {
      const float scale = scales[group + c];
      out[c] = scale;
      out[kPanel + c] = static_cast<float>(offset - static_cast<int>(zeros[group + c])) * scale;
    }
  }
  return {.codes = panel_codes(weight, panel),
          .scales = scratch,
          .minima = scratch + kPanel,
          .scale_stride = 2 * kPanel,
          .table = kQ4_1Table.data(),
          .block = block};
}

/// Low nibbles of a row of bytes, then the high ones.
void split_bytes(const std::int8_t* bytes, std::int8_t* out) {
  for (std::int64_t c = 0; c < kPanel; ++c) {
    const auto both = static_cast<std::uint8_t>(bytes[c]);
    out[c] = static_cast<std::int8_t>(both & 0xfU);
    out[kPanel + c] = static_cast<std::int8_t>(both >> 4U);
  }
}

/// Scales and minima of a panel's groups, one block of the encoding after the other.
void expand_groups(const BlockScaleLayout& layout, const std::byte* scales, const NativeOps& ops,
                   float* out) {
  const auto* numbers = reinterpret_cast<const std::uint16_t*>(scales);
  const auto* bytes = reinterpret_cast<const std::int8_t*>(scales + layout.number_bytes());
  alignas(64) float factor[2 * kPanel];
  alignas(64) std::int8_t pair[2 * kPanel];
  for (std::int64_t b = 0; b < layout.blocks; ++b) {
    ops.half_to_float(numbers, layout.number_rows * kPanel, factor);
    numbers += layout.number_rows * kPanel;
    if (layout.parts == 2) {
      for (std::int64_t c = kPanel; c < 2 * kPanel; ++c) factor[c] = -factor[c];
    }
    for (std::int64_t row = 0; row < layout.byte_rows; ++row, bytes += kPanel) {
      if (layout.nibbles) {
        split_bytes(bytes, pair);
        ops.scale_bytes(pair, factor, out);
        ops.scale_bytes(pair + kPanel, factor + kPanel, out + kPanel);
        out += 2 * kPanel;
      } else {
        ops.scale_bytes(bytes, factor + row % layout.parts * kPanel, out);
        out += kPanel;
      }
    }
  }
}

void decode_flat(const PackedWeight& weight, std::int64_t panel, std::int64_t begin,
                 std::int64_t end, const float* table, tensor::DType compute, float* out) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(panel_codes(weight, panel));
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t c = 0; c < kPanel; ++c, ++out) {
      const std::int64_t r = panel * kPanel + c;
      if (r >= weight.n || i >= weight.k) {
        *out = 0.0F;
        continue;
      }
      const std::uint32_t word = words[i / kNibbleUnit * kPanel + c];
      const std::uint32_t code = (word >> (4 * (i % kNibbleUnit))) & 0xfU;
      const float value = table[code] * four_bit_scale(weight, r, i);
      *out = tensor::dispatch_float(
          compute, [&](auto tag) { return tensor::rounded<typename decltype(tag)::type>(value); });
    }
  }
}

}  // namespace

PanelSource source_codes(const PackedWeight& weight, std::int64_t panel, const NativeOps&, float*) {
  return {.codes = panel_codes(weight, panel)};
}

PanelSource source_nf4(const PackedWeight& weight, std::int64_t panel, const NativeOps&,
                       float* scratch) {
  return source_four_bit(weight, panel, precision::kNf4Table.data(), scratch);
}

PanelSource source_fp4(const PackedWeight& weight, std::int64_t panel, const NativeOps&,
                       float* scratch) {
  return source_four_bit(weight, panel, precision::kFp4Table.data(), scratch);
}

PanelSource source_q4_0(const PackedWeight& weight, std::int64_t panel, const NativeOps& ops,
                        float* scratch) {
  half_scales(weight, panel, 1, ops, scratch);
  return {.codes = panel_codes(weight, panel),
          .scales = scratch,
          .table = kQ4_0Table.data(),
          .block = precision::kGgufBlock};
}

PanelSource source_q4_1(const PackedWeight& weight, std::int64_t panel, const NativeOps& ops,
                        float* scratch) {
  half_scales(weight, panel, 2, ops, scratch);
  return {.codes = panel_codes(weight, panel),
          .scales = scratch,
          .minima = scratch + kPanel,
          .scale_stride = 2 * kPanel,
          .table = kQ4_1Table.data(),
          .block = precision::kGgufBlock};
}

PanelSource source_q8_0(const PackedWeight& weight, std::int64_t panel, const NativeOps& ops,
                        float* scratch) {
  half_scales(weight, panel, 1, ops, scratch);
  return {.codes = panel_codes(weight, panel), .scales = scratch, .block = precision::kGgufBlock};
}

PanelSource source_int4(const PackedWeight& weight, std::int64_t panel, const NativeOps&,
                        float* scratch) {
  return source_grouped(weight, panel, 0, scratch);
}

PanelSource source_uint8(const PackedWeight& weight, std::int64_t panel, const NativeOps&,
                         float* scratch) {
  return source_grouped(weight, panel, kByteOffset, scratch);
}

PanelSource source_blocks(const PackedWeight& weight, std::int64_t panel, const NativeOps& ops,
                          float* scratch) {
  const precision::BlockForm& form = *precision::info(weight.rest.encoding).blocks;
  const BlockScaleLayout layout(form, weight.k);
  const std::byte* scales = weight.scales.data() + panel * layout.bytes();
  if (form.has_groups()) {
    expand_groups(layout, scales, ops, scratch);
  } else if (layout.number_rows > 0) {
    ops.half_to_float(reinterpret_cast<const std::uint16_t*>(scales),
                      layout.blocks * layout.number_rows * kPanel, scratch);
  } else {
    for (std::int64_t i = 0; i < layout.blocks * kPanel; ++i) {
      scratch[i] = precision::power_of_two(static_cast<std::uint8_t>(scales[i]));
    }
  }
  return {.codes = panel_codes(weight, panel),
          .scales = scratch,
          .minima = scratch + kPanel,
          .scale_stride = layout.parts * kPanel,
          .table = form.table != nullptr ? form.table->data() : nullptr,
          .block = form.group};
}

void decode_flat_nf4(const PackedWeight& weight, std::int64_t panel, std::int64_t begin,
                     std::int64_t end, tensor::DType compute, float* out) {
  decode_flat(weight, panel, begin, end, precision::kNf4Table.data(), compute, out);
}

void decode_flat_fp4(const PackedWeight& weight, std::int64_t panel, std::int64_t begin,
                     std::int64_t end, tensor::DType compute, float* out) {
  decode_flat(weight, panel, begin, end, precision::kFp4Table.data(), compute, out);
}

}  // namespace assay::kernels::cpu
