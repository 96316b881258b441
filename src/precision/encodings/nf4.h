#pragma once

#include "precision/constants.h"
#include "precision/encodings/four_bit.h"

// NF4 (QLoRA): 16 quantiles of the normal distribution. A block of zeros has code 7.
// Layout: four_bit.h.
namespace assay::precision {

inline constexpr FourBitTable kNf4Codes = {kNf4Table, kNf4Bounds, kNf4Order};

inline void encode_nf4(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                       std::span<std::byte> codes, std::span<float> scales) {
  encode_four_bit(kNf4Codes, values, first, codes, scales);
}
inline void decode_nf4(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  decode_four_bit(kNf4Codes, tensor, r, out);
}

inline constexpr EncodingInfo kNf4Info = {Encoding::nf4,
                                          "nf4",
                                          static_cast<int>(kFourBitBlock),
                                          4.5,
                                          true,
                                          false,
                                          four_bit_code_bytes,
                                          encode_as<Encoding::nf4>,
                                          decode_nf4,
                                          encode_nf4,
                                          four_bit_scale_count};

}  // namespace assay::precision
