#include "kernels/cpu/linear/pack.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/cpu/linear/pack_panels.h"
#include "precision/constants.h"
#include "precision/encodings/blocks.h"

namespace assay::kernels::cpu {
namespace {

using precision::EncodedTensor;
using precision::Encoding;

bool finite_bits(std::uint32_t bits) { return (bits & 0x7f800000U) != 0x7f800000U; }
bool finite_bf16(std::uint16_t bits) { return (bits & 0x7f80U) != 0x7f80U; }

[[noreturn]] void fail_not_finite(std::int64_t row, std::int64_t column) {
  fail(ErrorCode::numeric, "the weight in row {}, column {} is NaN or infinite", row, column);
}

void require_finite(std::span<const float> scales) {
  const auto bad = std::find_if(scales.begin(), scales.end(), [](float s) {
    return !finite_bits(std::bit_cast<std::uint32_t>(s));
  });
  if (bad == scales.end()) return;
  fail(ErrorCode::numeric, "scale {} of the weight is NaN or infinite", bad - scales.begin());
}

/// Values of type T, in units of `Unit` depths; finite(bits) is the scan.
template <typename T, std::int64_t Unit, typename Finite>
PackedWeight pack_values(const EncodedTensor& weight, base::ThreadPool& pool,
                         const Finite& finite) {
  return pack_panels(weight, 0, pool, [&](const PanelJob& job) {
    constexpr std::int64_t kTile = 16;  // depths whose part of the panel stays in the first cache
    for (std::int64_t i0 = 0; i0 < job.k; i0 += kTile) {
      const std::int64_t i1 = std::min(job.k, i0 + kTile);
      for (std::int64_t c = 0; c < job.columns; ++c) {
        const std::byte* from = weight.codes.bytes.data() +
                                (job.row0 + c) * job.k * static_cast<std::int64_t>(sizeof(T));
        bool good = true;
        for (std::int64_t i = i0; i < i1; ++i) {
          const T bits = load_unaligned<T>(from + i * static_cast<std::int64_t>(sizeof(T)));
          good = good && finite(bits);
          const std::int64_t at = (i / Unit * kPanel + c) * Unit + i % Unit;
          std::memcpy(job.codes + at * static_cast<std::int64_t>(sizeof(T)), &bits, sizeof(T));
        }
        if (good) continue;
        for (std::int64_t i = i0;; ++i) {
          if (!finite(load_unaligned<T>(from + i * static_cast<std::int64_t>(sizeof(T)))))
            fail_not_finite(job.row0 + c, i);
        }
      }
    }
  });
}

PackedWeight pack_f32(const EncodedTensor& weight, base::ThreadPool& pool) {
  return pack_values<std::uint32_t, kFloatUnit>(weight, pool, finite_bits);
}
PackedWeight pack_f16(const EncodedTensor& weight, base::ThreadPool& pool) {
  return pack_values<std::uint16_t, kFloatUnit>(weight, pool, finite_half);
}
PackedWeight pack_bf16(const EncodedTensor& weight, base::ThreadPool& pool) {
  return pack_values<std::uint16_t, kBf16Unit>(weight, pool, finite_bf16);
}

/// Column c's signed codes [i0, i0 + count) into the panel, made unsigned.
void put_bytes(const PanelJob& job, std::int64_t c, std::int64_t i0, const std::byte* from,
               std::int64_t count) {
  for (std::int64_t i = i0; i < i0 + count; ++i) {
    const std::int64_t at = (i / kByteUnit * kPanel + c) * kByteUnit + i % kByteUnit;
    job.codes[at] = from[i - i0] ^ std::byte{0x80};
  }
}

/// Places without a weight hold code 0.
void fill_zero_codes(const PanelJob& job) {
  std::memset(job.codes, kByteOffset, static_cast<std::size_t>(panel_bytes(Encoding::int8, job.k)));
}

PackedWeight pack_int8(const EncodedTensor& weight, base::ThreadPool& pool) {
  require_finite(weight.scales);
  constexpr std::int64_t kScaleBytes = kPanel * static_cast<std::int64_t>(sizeof(float));
  return pack_panels(weight, kScaleBytes, pool, [&](const PanelJob& job) {
    fill_zero_codes(job);
    for (std::int64_t c = 0; c < job.columns; ++c) {
      put_bytes(job, c, 0, weight.codes.bytes.data() + (job.row0 + c) * job.k, job.k);
    }
    std::memcpy(job.scales, weight.scales.data() + job.row0,
                static_cast<std::size_t>(job.columns) * sizeof(float));
  });
}

PackedWeight pack_q8_0(const EncodedTensor& weight, base::ThreadPool& pool) {
  const std::int64_t blocks = weight.cols / precision::kGgufBlock;
  constexpr std::int64_t kBytes = 2 + precision::kGgufBlock;
  return pack_panels(weight, blocks * kPanel * 2, pool, [&](const PanelJob& job) {
    fill_zero_codes(job);
    for (std::int64_t c = 0; c < job.columns; ++c) {
      const std::byte* from = weight.codes.bytes.data() + (job.row0 + c) * blocks * kBytes;
      for (std::int64_t b = 0; b < blocks; ++b, from += kBytes) {
        put_half(job, c, b, load_unaligned<std::uint16_t>(from));
        put_bytes(job, c, b * precision::kGgufBlock, from + 2, precision::kGgufBlock);
      }
    }
  });
}

/// Eight codes from bytes whose low nibbles (or high ones, `shift` 4) hold them.
std::uint32_t gather_nibbles(const std::byte* from, int shift) {
  std::uint32_t word = 0;
  for (int j = 0; j < kNibbleUnit; ++j) {
    const auto code = (static_cast<std::uint32_t>(from[j]) >> shift) & 0xfU;
    word |= code << (4 * j);
  }
  return word;
}

/// q4_0 (one f16 number before the codes) and q4_1 (two).
template <std::int64_t Numbers>
PackedWeight pack_gguf_four_bit(const EncodedTensor& weight, base::ThreadPool& pool) {
  const std::int64_t blocks = weight.cols / precision::kGgufBlock;
  constexpr std::int64_t kBytes = 2 * Numbers + precision::kGgufBlock / 2;
  return pack_panels(weight, blocks * Numbers * kPanel * 2, pool, [&](const PanelJob& job) {
    for (std::int64_t c = 0; c < job.columns; ++c) {
      const std::byte* from = weight.codes.bytes.data() + (job.row0 + c) * blocks * kBytes;
      for (std::int64_t b = 0; b < blocks; ++b, from += kBytes) {
        for (std::int64_t i = 0; i < Numbers; ++i)
          put_half(job, c, b * Numbers + i, load_unaligned<std::uint16_t>(from + 2 * i));
        const std::byte* codes = from + 2 * Numbers;
        for (int u = 0; u < 4; ++u) {
          put_word(job, c, b * 4 + u, gather_nibbles(codes + u % 2 * 8, u / 2 * 4));
        }
      }
    }
  });
}

/// Eight codes of nf4 or fp4 from element `at` of the flattened tensor, fewer at the end of a row.
std::uint32_t four_bit_word(const std::byte* codes, std::int64_t at, std::int64_t count) {
  if (at % 2 == 0 && count == kNibbleUnit) {
    const auto pairs =
        load_unaligned<std::uint32_t>(codes + at / 2);  // the first of a pair is the high one
    return ((pairs & 0x0f0f0f0fU) << 4) | ((pairs >> 4) & 0x0f0f0f0fU);
  }
  std::uint32_t word = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    const auto pair = static_cast<std::uint32_t>(codes[(at + j) / 2]);
    word |= ((at + j) % 2 == 0 ? pair >> 4 : pair & 0xfU) << (4 * j);
  }
  return word;
}

void put_block_scales(const PanelJob& job, const EncodedTensor& weight) {
  const std::int64_t blocks = job.k / precision::kFourBitBlock;
  for (std::int64_t c = 0; c < job.columns; ++c) {
    for (std::int64_t b = 0; b < blocks; ++b) {
      const float scale = weight.scales[static_cast<std::size_t>((job.row0 + c) * blocks + b)];
      std::memcpy(job.scales + (b * kPanel + c) * 4, &scale, 4);
    }
  }
}

PackedWeight pack_four_bit(const EncodedTensor& weight, base::ThreadPool& pool) {
  require_finite(weight.scales);
  if (weight.nested != nullptr) {
    require_finite(weight.nested->absmax);
    require_finite({&weight.nested->offset, 1});
  }
  const bool aligned = weight.cols % precision::kFourBitBlock == 0;
  const bool per_panel = aligned && weight.nested == nullptr;
  const std::int64_t scale_bytes =
      per_panel ? weight.cols / precision::kFourBitBlock * kPanel * 4 : 0;
  PackedWeight packed = pack_panels(weight, scale_bytes, pool, [&](const PanelJob& job) {
    for (std::int64_t c = 0; c < job.columns; ++c) {
      const std::int64_t row = (job.row0 + c) * job.k;
      for (std::int64_t i = 0; i < job.k; i += kNibbleUnit) {
        const std::int64_t count = std::min(kNibbleUnit, job.k - i);
        put_word(job, c, i / kNibbleUnit, four_bit_word(weight.codes.bytes.data(), row + i, count));
      }
    }
    if (per_panel) put_block_scales(job, weight);
  });
  if (!per_panel && weight.nested == nullptr) {
    packed.scales = tensor::Buffer(weight.scales.size() * sizeof(float));
    std::memcpy(packed.scales.data(), weight.scales.data(), weight.scales.size() * sizeof(float));
  }
  return packed;
}

/// Bytes of a panel's scales and zeros of grouped weights.
constexpr std::int64_t kGroupBytes = kPanel * (static_cast<std::int64_t>(sizeof(float)) + 1);

void put_groups(const PanelJob& job, std::int64_t c, std::int64_t groups,
                const EncodedTensor& weight) {
  std::byte* zeros = job.scales + groups * kPanel * static_cast<std::int64_t>(sizeof(float));
  for (std::int64_t g = 0; g < groups; ++g) {
    const auto at = static_cast<std::size_t>((job.row0 + c) * groups + g);
    std::memcpy(job.scales + (g * kPanel + c) * 4, &weight.scales[at], 4);
    zeros[g * kPanel + c] = static_cast<std::byte>(weight.groups->zeros[at]);
  }
}

/// int4 and uint8; put_codes(job, column, row of codes) is what differs.
template <typename PutCodes>
PackedWeight pack_grouped(const EncodedTensor& weight, std::int64_t row_bytes,
                          base::ThreadPool& pool, const PutCodes& put_codes) {
  require_finite(weight.scales);
  const precision::Grouping& grouping = *weight.groups;
  if (grouping.size < kGroupUnit || grouping.size % kGroupUnit != 0) {
    fail(ErrorCode::internal, "groups of {} columns cannot be packed", grouping.size);
  }
  const std::int64_t groups = (weight.cols + grouping.size - 1) / grouping.size;
  PackedWeight packed = pack_panels(weight, groups * kGroupBytes, pool, [&](const PanelJob& job) {
    for (std::int64_t c = 0; c < job.columns; ++c) {
      put_codes(job, c, weight.codes.bytes.data() + (job.row0 + c) * row_bytes);
      put_groups(job, c, groups, weight);
    }
  });
  auto rest = std::make_shared<precision::Grouping>();
  rest->size = grouping.size;
  rest->order = grouping.order;
  packed.rest.groups = std::move(rest);
  return packed;
}

PackedWeight pack_int4(const EncodedTensor& weight, base::ThreadPool& pool) {
  const auto put = [](const PanelJob& job, std::int64_t c, const std::byte* row) {
    for (std::int64_t i = 0; i < job.k; i += kNibbleUnit) {
      put_word(job, c, i / kNibbleUnit, load_unaligned<std::uint32_t>(row + i / 2));
    }
  };
  return pack_grouped(weight, weight.cols / 2, pool, put);
}

/// Codes as they are: kernels read a byte as 128 lower.
PackedWeight pack_uint8(const EncodedTensor& weight, base::ThreadPool& pool) {
  const auto put = [](const PanelJob& job, std::int64_t c, const std::byte* row) {
    for (std::int64_t i = 0; i < job.k; ++i) {
      const std::int64_t at = (i / kByteUnit * kPanel + c) * kByteUnit + i % kByteUnit;
      job.codes[at] = row[i];
    }
  };
  return pack_grouped(weight, weight.cols, pool, put);
}

PackedWeight pack_fp8(const EncodedTensor& weight, base::ThreadPool& pool) {
  for (std::size_t i = 0; i < weight.codes.bytes.size(); ++i) {
    if ((weight.codes.bytes[i] & std::byte{0x7f}) != std::byte{0x7f}) continue;
    const auto at = static_cast<std::int64_t>(i);
    fail_not_finite(at / weight.cols, at % weight.cols);
  }
  return pack_int8(weight, pool);
}

/// Those with EncodingInfo::blocks have pack_blocks.
constexpr std::array<PackWeight, precision::kEncodingCount> kPackers = {pack_f32,
                                                                        pack_f16,
                                                                        pack_bf16,
                                                                        pack_int8,
                                                                        pack_four_bit,
                                                                        pack_four_bit,
                                                                        pack_gguf_four_bit<1>,
                                                                        pack_gguf_four_bit<2>,
                                                                        pack_q8_0,
                                                                        pack_int4,
                                                                        pack_uint8,
                                                                        pack_fp8};

struct Unit {
  std::int64_t depth;
  std::int64_t bytes;  ///< of one column
};
constexpr std::array<Unit, precision::kEncodingCount> kUnits = {{{kFloatUnit, 4},
                                                                 {kFloatUnit, 2},
                                                                 {kBf16Unit, 4},
                                                                 {kByteUnit, 4},
                                                                 {kNibbleUnit, 4},
                                                                 {kNibbleUnit, 4},
                                                                 {kNibbleUnit, 4},
                                                                 {kNibbleUnit, 4},
                                                                 {kByteUnit, 4},
                                                                 {kNibbleUnit, 4},
                                                                 {kByteUnit, 4},
                                                                 {kByteUnit, 4}}};

}  // namespace

PackWeight packer(Encoding encoding) noexcept {
  if (precision::info(encoding).blocks != nullptr) return pack_blocks;
  return kPackers[static_cast<std::size_t>(encoding)];
}

std::int64_t panel_bytes(Encoding encoding, std::int64_t k) noexcept {
  const precision::BlockForm* blocks = precision::info(encoding).blocks;
  if (blocks != nullptr) return k * blocks->bits / 8 * kPanel;
  const Unit unit = kUnits[static_cast<std::size_t>(encoding)];
  return round_up(k, unit.depth) / unit.depth * unit.bytes * kPanel;
}

}  // namespace assay::kernels::cpu
