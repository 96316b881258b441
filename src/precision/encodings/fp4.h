#pragma once

#include "precision/constants.h"
#include "precision/encodings/four_bit.h"

// FP4: one sign, two exponent and one mantissa bit. Codes 0 and 8 both mean zero.
// Layout: four_bit.h.
namespace assay::precision {

inline constexpr FourBitTable kFp4Codes = {kFp4Table, kFp4Bounds, kFp4Order};

inline void encode_fp4(std::span<const float> values, std::int64_t first, std::int64_t /*cols*/,
                       std::span<std::byte> codes, std::span<float> scales) {
  encode_four_bit(kFp4Codes, values, first, codes, scales);
}
inline void decode_fp4(const EncodedTensor& tensor, std::int64_t r, std::span<float> out) {
  decode_four_bit(kFp4Codes, tensor, r, out);
}

inline constexpr EncodingInfo kFp4Info = {Encoding::fp4,
                                          "fp4",
                                          static_cast<int>(kFourBitBlock),
                                          4.5,
                                          true,
                                          false,
                                          four_bit_code_bytes,
                                          encode_as<Encoding::fp4>,
                                          decode_fp4,
                                          encode_fp4,
                                          four_bit_scale_count};

}  // namespace assay::precision
