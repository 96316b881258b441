// Properties of every encoding that can encode, over shapes and values that RapidCheck chooses and
// shrinks.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/hash.h"
#include "precision/decoded.h"
#include "precision/encoding.h"

namespace assay::precision {
namespace {

struct Weight {
  const EncodingInfo& encoding;
  std::int64_t rows;
  std::int64_t cols;
  std::vector<float> values;
};

/// Any encoding that encodes, any small shape that fits its blocks, values over many magnitudes.
Weight any_weight() {
  std::vector<const EncodingInfo*> encoders;
  for (const EncodingInfo& one : all_encodings()) {
    if (one.encode != nullptr) encoders.push_back(&one);
  }
  const EncodingInfo& encoding = **rc::gen::elementOf(encoders);
  const std::int64_t unit = encoding.row_aligned ? std::max(encoding.block, 1) : 1;
  const std::int64_t rows = *rc::gen::inRange<std::int64_t>(1, 9);
  const std::int64_t cols = unit * *rc::gen::inRange<std::int64_t>(1, unit > 1 ? 6 : 200);
  const double scale = std::pow(10.0, *rc::gen::inRange(-3, 3));
  base::Random random(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  for (float& v : values) v = static_cast<float>(random.normal() * scale);
  return {encoding, rows, cols, std::move(values)};
}

RC_GTEST_PROP(EncodingProperty, WhatIsDecodedStaysWithinTheWeightsOwnRange, ()) {
  const Weight weight = any_weight();
  const EncodedTensor encoded = weight.encoding.encode(weight.values, weight.rows, weight.cols);
  float largest = 0.0F;
  for (const float v : weight.values) largest = std::max(largest, std::abs(v));
  // 16-bit scales and values round; a scale from the largest value's sign reaches one step further,
  // and the largest step of mxfp4 is from 4 to 6: 5 and a little becomes 6.
  const float limit = largest * (weight.encoding.quantized ? 1.2F : 1.01F) + 1e-6F;
  for (const float v : decode(encoded)) RC_ASSERT(std::abs(v) <= limit);
}

RC_GTEST_PROP(EncodingProperty, RangesEncodedApartEqualTheWhole, ()) {
  const Weight weight = any_weight();
  const EncodingInfo& encoding = weight.encoding;
  const EncodedTensor whole = encoding.encode(weight.values, weight.rows, weight.cols);

  // A cut after whole rows and whole blocks.
  const std::int64_t block = std::max(encoding.block, 1);
  const std::int64_t unit = encoding.row_aligned ? 1 : block / std::gcd(weight.cols, block);
  const std::int64_t pieces = (weight.rows + unit - 1) / unit;
  const std::int64_t rows =
      std::min(weight.rows, unit * *rc::gen::inRange<std::int64_t>(0, pieces + 1));
  const auto cut = static_cast<std::size_t>(rows * weight.cols);

  std::vector<std::byte> codes(
      static_cast<std::size_t>(encoding.code_bytes(weight.rows, weight.cols)));
  std::vector<float> scales(
      static_cast<std::size_t>(encoding.scale_count(weight.rows, weight.cols)));
  const std::span<const float> values = weight.values;
  // The later part first: nothing may depend on the order.
  if (cut < values.size()) {
    encoding.encode_range(values.subspan(cut), rows * weight.cols, weight.cols, codes, scales);
  }
  if (cut > 0) encoding.encode_range(values.first(cut), 0, weight.cols, codes, scales);

  RC_ASSERT(std::ranges::equal(codes, whole.codes.bytes));
  RC_ASSERT(scales == whole.scales);
}

RC_GTEST_PROP(EncodingProperty, SignsSurvive, ()) {
  const Weight weight = any_weight();
  const std::vector<float> decoded =
      decode(weight.encoding.encode(weight.values, weight.rows, weight.cols));
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    // An offset may move a small value across zero by half a step.
    if (weight.encoding.name == "q4_1" || weight.encoding.name == "q5_1") continue;
    RC_ASSERT(decoded[i] * weight.values[i] >= 0.0F);
  }
}

}  // namespace
}  // namespace assay::precision
