#include "precision/encodings/mxfp4.h"

#include <cmath>

#include "precision/constants.h"
#include "precision/mxfp4.h"

namespace assay::precision {
namespace {

constexpr std::size_t kMxfp4Block = kGgufBlock;
constexpr std::size_t kPairs = kMxfp4Block / 2;  ///< bytes of a block's codes
constexpr std::size_t kBytes = 1 + kPairs;
static_assert(kBytes == static_cast<std::size_t>(kMxfp4Form.bytes));

/// Halfway between neighbours of 0, 0.5, 1, 1.5, 2, 3, 4, 6.
constexpr std::array<float, 7> kBounds = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};

unsigned nearest(float scaled) {
  const float magnitude = std::abs(scaled);
  unsigned code = 0;
  for (const float bound : kBounds) code += magnitude > bound ? 1U : 0U;
  return code != 0 && scaled < 0.0F ? code | 8U : code;
}

}  // namespace

void unpack_mxfp4(const std::byte* block, BlockCodes& out) {
  out.exponent = static_cast<std::uint8_t>(block[0]);
  split_nibbles(block + 1, out.codes.data());
}

void encode_mxfp4(std::span<const float> block, std::byte* out) {
  const float absmax = finite_absmax(block);
  const int exponent = absmax > 0.0F ? std::max(0, std::ilogb(absmax) - 2 + 127) : 0;
  out[0] = static_cast<std::byte>(exponent);
  const auto code = [&](float value) { return nearest(std::ldexp(value, 127 - exponent)); };
  for (std::size_t j = 0; j < kPairs; ++j) {
    out[1 + j] = static_cast<std::byte>(code(block[j]) | code(block[j + kPairs]) << 4U);
  }
}

EncodedTensor mxfp4_from_pairs(std::span<const std::byte> blocks, std::span<const std::byte> scales,
                               std::int64_t rows, std::int64_t cols) {
  const std::int64_t bytes = info(Encoding::mxfp4).code_bytes(rows, cols);
  const auto count = static_cast<std::size_t>(bytes) / kBytes;
  if (scales.size() != count || blocks.size() != count * kPairs) {
    fail(ErrorCode::bad_data,
         "an MXFP4 weight of {} x {} takes {} bytes of codes and {} of scales, not {} and {}", rows,
         cols, count * kPairs, count, blocks.size(), scales.size());
  }
  tensor::Buffer buffer(static_cast<std::size_t>(bytes));
  for (std::size_t b = 0; b < count; ++b) {
    const std::byte* from = blocks.data() + b * kPairs;
    std::byte* to = buffer.data() + b * kBytes;
    *to++ = scales[b];
    // Bytes j / 2 and j / 2 + 8 hold weights j and j + 16, the even ones in the low nibble.
    for (std::size_t j = 0; j < kPairs; j += 2) {
      const std::byte first = from[j / 2];
      const std::byte second = from[j / 2 + kPairs / 2];
      to[j] = (first & std::byte{0xf}) | second << 4;
      to[j + 1] = first >> 4 | (second & std::byte{0xf0});
    }
  }
  return {Encoding::mxfp4, rows, cols, share(std::move(buffer)), {}, nullptr};
}

}  // namespace assay::precision
