#include <array>
#include <vector>

#include "kernels/cpu/linear/block_scales.h"
#include "kernels/cpu/linear/layout.h"
#include "kernels/cpu/linear/pack.h"
#include "kernels/cpu/linear/scales.h"
#include "precision/encodings/fp8_e4m3.h"

namespace assay::kernels::cpu {
namespace {

using precision::Encoding;
using tensor::Float16;

/// One column of one panel: a row of the weight.
struct Column {
  const PackedWeight& weight;
  const std::byte* codes;  ///< of the panel
  std::int64_t panel;
  std::int64_t column;

  template <typename T>
  [[nodiscard]] T value(std::int64_t unit, std::int64_t i) const {
    return reinterpret_cast<const T*>(codes)[(i / unit * kPanel + column) * unit + i % unit];
  }
  [[nodiscard]] int byte_code(std::int64_t i) const {
    return static_cast<int>(value<std::uint8_t>(kByteUnit, i)) - kByteOffset;
  }
  [[nodiscard]] std::size_t nibble(std::int64_t i) const {
    const auto word =
        reinterpret_cast<const std::uint32_t*>(codes)[i / kNibbleUnit * kPanel + column];
    return (word >> (4 * (i % kNibbleUnit))) & 0xfU;
  }
  /// f16 number `row` of this panel's scales, of `rows` in all.
  [[nodiscard]] float half_scale(std::int64_t row, std::int64_t rows) const {
    const auto* scales = weight.scales.as<Float16>();
    return static_cast<float>(scales[(panel * rows + row) * kPanel + column]);
  }
};

float read_f32(const Column& c, std::int64_t i) { return c.value<float>(kFloatUnit, i); }
float read_f16(const Column& c, std::int64_t i) {
  return static_cast<float>(c.value<Float16>(kFloatUnit, i));
}
float read_bf16(const Column& c, std::int64_t i) {
  return static_cast<float>(c.value<tensor::BFloat16>(kBf16Unit, i));
}
float read_int8(const Column& c, std::int64_t i) {
  const float scale = c.weight.scales.as<float>()[c.panel * kPanel + c.column];
  return static_cast<float>(c.byte_code(i)) * scale * precision::kInverse127;
}
float read_nf4(const Column& c, std::int64_t i) {
  return precision::kNf4Table[c.nibble(i)] *
         four_bit_scale(c.weight, c.panel * kPanel + c.column, i);
}
float read_fp4(const Column& c, std::int64_t i) {
  return precision::kFp4Table[c.nibble(i)] *
         four_bit_scale(c.weight, c.panel * kPanel + c.column, i);
}
float read_q4_0(const Column& c, std::int64_t i) {
  const std::int64_t blocks = c.weight.k / precision::kGgufBlock;
  return kQ4_0Table[c.nibble(i)] * c.half_scale(i / precision::kGgufBlock, blocks);
}
float read_q4_1(const Column& c, std::int64_t i) {
  const std::int64_t rows = c.weight.k / precision::kGgufBlock * 2;
  const std::int64_t row = i / precision::kGgufBlock * 2;
  return kQ4_1Table[c.nibble(i)] * c.half_scale(row, rows) + c.half_scale(row + 1, rows);
}
float read_q8_0(const Column& c, std::int64_t i) {
  const std::int64_t blocks = c.weight.k / precision::kGgufBlock;
  return static_cast<float>(c.byte_code(i)) * c.half_scale(i / precision::kGgufBlock, blocks);
}

/// Scale and zero of stored column i of a grouped weight.
struct Group {
  float scale;
  int zero;

  Group(const Column& c, std::int64_t i) {
    const std::int64_t size = c.weight.rest.groups->size;
    const std::int64_t groups = (c.weight.k + size - 1) / size;
    const std::byte* scales = c.weight.scales.data() + c.panel * groups * kPanel * 5;
    const std::int64_t at = i / size * kPanel + c.column;
    scale = reinterpret_cast<const float*>(scales)[at];
    zero = static_cast<int>(scales[groups * kPanel * 4 + at]);
  }
};
float read_int4(const Column& c, std::int64_t i) {
  const Group group(c, i);
  return static_cast<float>(static_cast<int>(c.nibble(i)) - group.zero) * group.scale;
}
float read_uint8(const Column& c, std::int64_t i) {
  const Group group(c, i);
  return static_cast<float>(c.value<std::uint8_t>(kByteUnit, i) - group.zero) * group.scale;
}
float read_fp8_e4m3(const Column& c, std::int64_t i) {
  const auto code = static_cast<std::uint8_t>(c.value<std::uint8_t>(kByteUnit, i) ^ 0x80U);
  return precision::fp8_e4m3_value(code) * c.weight.scales.as<float>()[c.panel * kPanel + c.column];
}

template <auto Read>
void lookup_rows(const PackedWeight& weight, std::span<const std::int32_t> ids,
                 tensor::MatrixView y) {
  const std::int64_t bytes = panel_bytes(weight.rest.encoding, weight.k);
  std::vector<float> row(static_cast<std::size_t>(weight.k));
  const std::span<const std::int32_t> order = stored_order(weight);
  for (std::size_t r = 0; r < ids.size(); ++r) {
    const std::int64_t id = ids[r];
    const std::int64_t panel = id / kPanel;
    const Column column{weight, weight.codes.data() + panel * bytes, panel, id % kPanel};
    for (std::int64_t i = 0; i < weight.k; ++i) {
      const auto stored = static_cast<std::size_t>(i);
      const std::size_t to = order.empty() ? stored : static_cast<std::size_t>(order[stored]);
      row[to] = Read(column, i);
    }
    tensor::store_row(y, static_cast<std::int64_t>(r), row);
  }
}

/// Code i of a column cut into planes.
std::uint8_t plane_code(const Column& c, int bits, std::int64_t i) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(c.codes);
  const std::int64_t unit = i / kPlaneUnit * bits;
  const std::int64_t depth = i % kPlaneUnit;
  const auto part = [&](std::int64_t first, std::int64_t width) {
    const std::uint32_t word = words[(unit + first + depth * width / 32) * kPanel + c.column];
    return word >> (depth * width % 32) & ((1U << width) - 1U);
  };
  const int low = bits >= 4 ? 4 : 2;
  const std::uint32_t high = bits > low ? part(low, bits - low) : 0;
  return static_cast<std::uint8_t>(part(0, low) | high << low);
}

/// The stored block's scales back from the panel.
void read_block_scales(const Column& c, const BlockScaleLayout& layout, std::int64_t b,
                       precision::BlockCodes& block) {
  const std::byte* scales = c.weight.scales.data() + c.panel * layout.bytes();
  const auto* numbers = reinterpret_cast<const std::uint16_t*>(scales);
  for (std::int64_t i = 0; i < layout.number_rows; ++i) {
    block.numbers[static_cast<std::size_t>(i)] =
        numbers[(b * layout.number_rows + i) * kPanel + c.column];
  }
  const std::byte* bytes =
      scales + layout.number_bytes() + b * layout.byte_rows * kPanel + c.column;
  if (layout.number_rows == 0) block.exponent = static_cast<std::uint8_t>(*bytes);
  if (!layout.form.has_groups()) return;
  for (std::size_t g = 0; g < static_cast<std::size_t>(layout.form.groups()); ++g) {
    if (layout.nibbles) {
      const auto both = static_cast<std::uint8_t>(bytes[static_cast<std::int64_t>(g) * kPanel]);
      block.scales[g] = static_cast<std::int8_t>(both & 0xfU);
      block.minima[g] = static_cast<std::int8_t>(both >> 4U);
      continue;
    }
    const std::byte* row = bytes + static_cast<std::int64_t>(g) * layout.parts * kPanel;
    block.scales[g] = static_cast<std::int8_t>(*row);
    if (layout.parts == 2) block.minima[g] = static_cast<std::int8_t>(row[kPanel]);
  }
}

void lookup_blocks(const PackedWeight& weight, std::span<const std::int32_t> ids,
                   tensor::MatrixView y) {
  const precision::BlockForm& form = *precision::info(weight.rest.encoding).blocks;
  const BlockScaleLayout layout(form, weight.k);
  const std::int64_t bytes = panel_bytes(weight.rest.encoding, weight.k);
  std::vector<float> row(static_cast<std::size_t>(weight.k));
  precision::BlockCodes block;
  for (std::size_t r = 0; r < ids.size(); ++r) {
    const std::int64_t panel = ids[r] / kPanel;
    const Column column{weight, weight.codes.data() + panel * bytes, panel, ids[r] % kPanel};
    for (std::int64_t i = 0; i < weight.k; i += form.group) {
      if (i % form.block == 0) read_block_scales(column, layout, i / form.block, block);
      const auto s = group_scale(form, block, static_cast<int>(i % form.block / form.group));
      for (std::int64_t j = i; j < i + form.group; ++j) {
        const float value = code_value(form, plane_code(column, form.bits, j)) * s.scale;
        row[static_cast<std::size_t>(j)] = form.has_minima() ? value + s.minimum : value;
      }
    }
    tensor::store_row(y, static_cast<std::int64_t>(r), row);
  }
}

/// Those with EncodingInfo::blocks have lookup_blocks.
constexpr std::array<LookupRows, precision::kEncodingCount> kReaders = {
    lookup_rows<read_f32>,  lookup_rows<read_f16>,   lookup_rows<read_bf16>,
    lookup_rows<read_int8>, lookup_rows<read_nf4>,   lookup_rows<read_fp4>,
    lookup_rows<read_q4_0>, lookup_rows<read_q4_1>,  lookup_rows<read_q8_0>,
    lookup_rows<read_int4>, lookup_rows<read_uint8>, lookup_rows<read_fp8_e4m3>};

}  // namespace

LookupRows row_reader(Encoding encoding) noexcept {
  if (precision::info(encoding).blocks != nullptr) return lookup_blocks;
  return kReaders[static_cast<std::size_t>(encoding)];
}

}  // namespace assay::kernels::cpu
