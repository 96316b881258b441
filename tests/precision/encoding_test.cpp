#include "precision/encoding.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/hash.h"
#include "precision/constants.h"
#include "precision/decoded.h"
#include "precision/encodings/block_forms.h"
#include "precision/golden.h"
#include "precision/mxfp4.h"
#include "precision/sample_weight.h"

namespace assay::precision {
namespace {

std::vector<std::uint32_t> bits(std::span<const float> values) {
  std::vector<std::uint32_t> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    result[i] = std::bit_cast<std::uint32_t>(values[i]);
  }
  return result;
}

std::vector<std::uint8_t> code_bytes(const EncodedTensor& tensor) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(tensor.codes.bytes.data());
  return {first, first + tensor.codes.bytes.size()};
}

struct Case {
  const EncodingInfo& encoding;
  std::int64_t rows;
  std::int64_t cols;
  std::vector<float> values;

  explicit Case(const Json& json)
      : encoding(*find_encoding(json.value("encoding", "int8"))),
        rows(json.at("rows")),
        cols(json.at("cols")),
        values(json.contains("values") ? unhex<float>(json.at("values")) : std::vector<float>{}) {}
  [[nodiscard]] EncodedTensor encode() const { return encoding.encode(values, rows, cols); }
};

std::vector<float> random_weights(std::size_t count, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(random.normal() * 0.1);
  return values;
}

TEST(Constants, TablesEqualThePackage) {
  const Json golden = read_golden("four_bit.json");
  EXPECT_EQ(bits(kNf4Table), bits(unhex<float>(golden.at("nf4"))));
  EXPECT_EQ(bits(kSignedDynamicMap), bits(unhex<float>(golden.at("dynamic_map"))));
  const auto fp4 = unhex<float>(golden.at("fp4"));
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(kFp4Table[i], fp4[i]) << i;
}

TEST(Constants, OrdersAreAscending) {
  for (std::size_t i = 1; i < 16; ++i) {
    EXPECT_LE(kNf4Table[kNf4Order[i - 1]], kNf4Table[kNf4Order[i]]);
    EXPECT_LE(kFp4Table[kFp4Order[i - 1]], kFp4Table[kFp4Order[i]]);
  }
}

TEST(FourBit, CodesAndAbsmaxEqualThePackage) {
  for (const Json& json : golden_cases("four_bit.json", "cases")) {
    SCOPED_TRACE(json.at("encoding").get<std::string>() + " " + json.at("name").get<std::string>());
    const Case c(json);
    const EncodedTensor ours = c.encode();
    EXPECT_EQ(bits(ours.scales), bits(unhex<float>(json.at("absmax"))));
    // Codes 0 and 8 of FP4 are one value; all others must be equal.
    auto expected = unhex<std::uint8_t>(json.at("codes"));
    auto codes = code_bytes(ours);
    ASSERT_EQ(codes.size(), expected.size());
    if (c.encoding.id == Encoding::fp4) {
      const auto unsigned_zero = [](std::uint8_t pair) {
        const int high = (pair >> 4) == 8 ? 0 : pair >> 4;
        const int low = (pair & 0xf) == 8 ? 0 : pair & 0xf;
        return static_cast<std::uint8_t>(high << 4 | low);
      };
      for (auto* list : {&codes, &expected}) {
        for (auto& pair : *list) pair = unsigned_zero(pair);
      }
    }
    EXPECT_EQ(codes, expected);
    if (json.contains("decoded")) {
      // Compared as numbers: a zero has no sign here.
      EXPECT_EQ(decode(ours), unhex<float>(json.at("decoded")));
    }
  }
}

/// What the package's CPU library does before it looks a value up: it keeps the centre of one of
/// 65,536 bins over [-1, 1].
float bin_centre(float scaled) {
  const float bin = std::floor(std::min((scaled + 1.0F) * 32768.0F, 65535.0F));
  return (bin + 0.5F) / 32768.0F - 1.0F;
}

std::uint8_t nearest_entry(float value) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < 256; ++i) {
    if (std::fabs(kSignedDynamicMap[i] - value) < std::fabs(kSignedDynamicMap[best] - value))
      best = i;
  }
  return static_cast<std::uint8_t>(best);
}

TEST(DoubleQuant, GivenThePackagesOffsetAllIsEqual) {
  int compared = 0;
  for (const Json& json : golden_cases("four_bit.json", "cases")) {
    if (!json.contains("double")) continue;
    SCOPED_TRACE(json.at("encoding").get<std::string>() + " " + json.at("name").get<std::string>());
    const Json& golden = json.at("double");
    const float offset = unhex<float>(golden.at("offset")).at(0);
    EncodedTensor ours = Case(json).encode();
    const std::vector<float> scales = ours.scales;
    quantize_scales(ours, offset);
    ASSERT_NE(ours.nested, nullptr);
    EXPECT_TRUE(ours.scales.empty());
    EXPECT_EQ(bits(ours.nested->absmax), bits(unhex<float>(golden.at("absmax"))));
    EXPECT_EQ(ours.nested->codes, unhex<std::uint8_t>(golden.at("nearest")));
    const auto lut = unhex<std::uint8_t>(golden.at("lut"));
    ASSERT_EQ(lut.size(), scales.size());
    for (std::size_t i = 0; i < lut.size(); ++i) {
      const float reciprocal = 1.0F / ours.nested->absmax[i / 256];
      EXPECT_EQ(nearest_entry(bin_centre((scales[i] - offset) * reciprocal)), lut[i]) << i;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 8);
}

TEST(DoubleQuant, OwnMeanIsWithinTwoUlp) {
  for (const Json& json : golden_cases("four_bit.json", "cases")) {
    if (!json.contains("double")) continue;
    EncodedTensor ours = Case(json).encode();
    quantize_scales(ours);
    const float theirs = unhex<float>(json.at("double").at("offset")).at(0);
    const auto distance =
        std::bit_cast<std::int32_t>(ours.nested->offset) - std::bit_cast<std::int32_t>(theirs);
    EXPECT_LE(std::abs(distance), 2) << json.at("name");
  }
}

TEST(DoubleQuant, ScalesAreRecoveredWithinTheMapsStep) {
  EncodedTensor tensor = info(Encoding::nf4).encode(random_weights(64 * 600, 5), 600, 64);
  const std::vector<float> before = block_scales(tensor);
  EXPECT_EQ(before, tensor.scales);
  const std::int64_t bytes_before = tensor.bytes();
  quantize_scales(tensor);
  // 600 scales of 4 bytes become 600 codes, 3 nested absmax and the offset.
  EXPECT_EQ(bytes_before - tensor.bytes(), 600 * 4 - (600 + 3 * 4 + 4));
  const std::vector<float> after = block_scales(tensor);
  for (std::size_t i = 0; i < before.size(); ++i) {
    // The widest gap between entries of the map is 1/64 * 0.9 of the nested absmax.
    EXPECT_NEAR(after[i], before[i], tensor.nested->absmax[i / 256] * 0.9 / 64 / 2 * 1.001) << i;
  }
  const auto codes_once = tensor.nested->codes;
  quantize_scales(tensor);  // a second time changes nothing
  EXPECT_EQ(tensor.nested->codes, codes_once);
}

TEST(DoubleQuant, OnlyForFourBit) {
  EncodedTensor tensor = info(Encoding::int8).encode(random_weights(64, 5), 1, 64);
  EXPECT_THROW(quantize_scales(tensor), Error);
  EXPECT_THROW((void)block_scales(tensor), Error);
}

TEST(Int8, CodesAbsmaxAndValuesEqualThePackage) {
  for (const Json& json : golden_cases("int8.json", "weights")) {
    SCOPED_TRACE(json.at("name").get<std::string>());
    const EncodedTensor ours = Case(json).encode();
    EXPECT_EQ(bits(ours.scales), bits(unhex<float>(json.at("absmax"))));
    EXPECT_EQ(code_bytes(ours), unhex<std::uint8_t>(json.at("codes")));
    EXPECT_EQ(bits(decode(ours)), bits(unhex<float>(json.at("decoded"))));
  }
}

TEST(Int8, RoundsToFp16First) {
  // 1.0004 is 1.0 in fp16; quantized from f32 its absmax would be 1.0004.
  const std::vector<float> row = {1.0004F, -0.5F};
  const EncodedTensor tensor = info(Encoding::int8).encode(row, 1, 2);
  EXPECT_EQ(tensor.scales[0], 1.0F);
  EXPECT_EQ(code_bytes(tensor), (std::vector<std::uint8_t>{127, 256 - 64}));
}

/// Cases of a golden file; how many of them are encoded.
int check_gguf(const std::string& file) {
  int encoded = 0;
  for (const Json& json : golden_cases(file, "cases")) {
    SCOPED_TRACE(json.at("encoding").get<std::string>() + " " + json.at("name").get<std::string>());
    const Case c(json);
    const auto expected = unhex<std::uint8_t>(json.at("codes"));
    if (!c.values.empty()) {
      EXPECT_EQ(code_bytes(c.encode()), expected);
      ++encoded;
    }
    EncodedTensor stored{c.encoding.id, c.rows, c.cols, {}, {}, nullptr};
    // One byte off any alignment, as in a mapped file.
    std::vector<std::uint8_t> shifted(1);
    shifted.insert(shifted.end(), expected.begin(), expected.end());
    stored.codes.bytes = std::as_bytes(std::span(shifted)).subspan(1);
    EXPECT_EQ(c.encoding.code_bytes(c.rows, c.cols),
              static_cast<std::int64_t>(stored.codes.bytes.size()));
    EXPECT_EQ(bits(decode(stored)), bits(unhex<float>(json.at("decoded"))));
  }
  return encoded;
}

TEST(Gguf, CodesAndValuesEqualTheGgufPackage) {
  EXPECT_EQ(check_gguf("gguf.json"), 6);
  EXPECT_EQ(check_gguf("blocks.json"), 6);
}

TEST(Mxfp4, PairsAndScalesGiveTheValuesOfTransformers) {
  const Json pairs = golden_cases("blocks.json", "pairs");
  const auto blocks = unhex<std::uint8_t>(pairs.at("blocks"));
  const auto scales = unhex<std::uint8_t>(pairs.at("scales"));
  const auto expected = unhex<float>(pairs.at("decoded"));
  const std::int64_t experts = pairs.at("experts");
  const std::int64_t rows = pairs.at("rows");
  const std::int64_t cols = pairs.at("cols");
  const auto part = [&](const auto& all, std::int64_t e) {
    const std::size_t size = all.size() / static_cast<std::size_t>(experts);
    return std::span(all).subspan(static_cast<std::size_t>(e) * size, size);
  };
  for (std::int64_t e = 0; e < experts; ++e) {
    const EncodedTensor tensor = mxfp4_from_pairs(std::as_bytes(part(blocks, e)),
                                                  std::as_bytes(part(scales, e)), rows, cols);
    const std::vector<float> values = decode(tensor);
    // By value: the package has a negative zero.
    EXPECT_TRUE(std::ranges::equal(values, part(expected, e))) << e;
  }
  EXPECT_THROW((void)mxfp4_from_pairs(std::as_bytes(std::span(blocks)),
                                      std::as_bytes(std::span(scales)), rows, cols),
               Error);
  EXPECT_THROW((void)mxfp4_from_pairs({}, {}, 1, 33), Error);
}

TEST(Sample, HasTheWantedSizeInEveryEncoding) {
  for (const EncodingInfo& row : all_encodings()) {
    if (row.encode == nullptr && row.blocks == nullptr) continue;
    const EncodedTensor tensor = sample_weight(row.id, 8, 512, 3);
    EXPECT_EQ(code_bytes(tensor), code_bytes(sample_weight(row.id, 8, 512, 3))) << row.name;
    EXPECT_NE(code_bytes(tensor), code_bytes(sample_weight(row.id, 8, 512, 4))) << row.name;
    double squares = 0.0;
    for (const float v : decode(tensor)) squares += static_cast<double>(v) * v;
    EXPECT_NEAR(std::sqrt(squares / (8 * 512)), 0.05, 0.01) << row.name;
  }
}

TEST(Registry, NamesAndSizes) {
  EXPECT_EQ(all_encodings().size(), static_cast<std::size_t>(kEncodingCount));
  for (const EncodingInfo& row : all_encodings()) {
    EXPECT_EQ(find_encoding(row.name), &row);
    EXPECT_EQ(row.encode == nullptr, row.encode_range == nullptr) << row.name;
    EXPECT_EQ(info(row.id).name, row.name);
    if (row.encode == nullptr && row.blocks == nullptr) continue;
    const EncodedTensor tensor = sample_weight(row.id, 64, 256, 1);
    const double scales = row.block == 0 ? 64.0 * 4 : 0.0;
    EXPECT_EQ(static_cast<double>(tensor.bytes()), row.bits_per_weight / 8 * 64 * 256 + scales)
        << row.name;
  }
  EXPECT_EQ(find_encoding("nf5"), nullptr);
}

TEST(Registry, RefusesImpossibleShapes) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max() / 2;
  for (const EncodingInfo& row : all_encodings()) {
    EXPECT_THROW((void)row.code_bytes(-1, 256), Error) << row.name;
    EXPECT_THROW((void)row.code_bytes(kHuge, 256), Error) << row.name;
    EXPECT_EQ(row.code_bytes(0, 256), 0) << row.name;
  }
  for (const EncodingInfo& row : all_encodings()) {
    if (!row.row_aligned || row.block <= 1) continue;
    EXPECT_THROW((void)row.code_bytes(4, row.block + 1), Error) << row.name;
    EXPECT_THROW((void)row.code_bytes(4, row.block / 2), Error) << row.name;
  }
  EXPECT_THROW((void)info(Encoding::nf4).encode(random_weights(10, 1), 2, 6), Error);
}

ErrorCode code_of_encoding(const EncodingInfo& row, float value) {
  std::vector<float> values = random_weights(3 * 64, 2);
  values[100] = value;
  try {
    (void)row.encode(values, 3, 64);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

TEST(Registry, RefusesValuesThatAreNotFinite) {
  for (const EncodingInfo& row : all_encodings()) {
    if (row.encode == nullptr) continue;
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      EXPECT_EQ(code_of_encoding(row, value), ErrorCode::numeric) << row.name << " " << value;
    }
  }
}

TEST(Registry, RefusesValuesTooLargeForFp16) {
  EXPECT_EQ(code_of_encoding(info(Encoding::f16), 65520.0F), ErrorCode::numeric);
  EXPECT_EQ(code_of_encoding(info(Encoding::int8), -65520.0F), ErrorCode::numeric);
  EXPECT_EQ(code_of_encoding(info(Encoding::q8_0), 1e7F), ErrorCode::numeric);
  EXPECT_EQ(code_of_encoding(info(Encoding::q4_0), -1e6F), ErrorCode::numeric);
  EXPECT_EQ(code_of_encoding(info(Encoding::q5_0), -2e6F), ErrorCode::numeric);
  EXPECT_EQ(code_of_encoding(info(Encoding::q5_1), 1e7F), ErrorCode::numeric);
  EXPECT_EQ(code_of_encoding(info(Encoding::mxfp4), 3e38F), ErrorCode::internal);    // no error
  EXPECT_EQ(code_of_encoding(info(Encoding::bf16), 65520.0F), ErrorCode::internal);  // no error
}

/// Those that can encode.
std::vector<Encoding> encoders() {
  std::vector<Encoding> all;
  for (const EncodingInfo& row : all_encodings()) {
    if (row.encode != nullptr) all.push_back(row.id);
  }
  return all;
}

class EveryEncoding : public testing::TestWithParam<Encoding> {};

TEST(Encoding, BlockFormsHaveATableWhereCodesAreNibbles) {
  for (const auto& [encoding, form] : kBlockForms) {
    EXPECT_EQ(form->table != nullptr, form->bits == 4) << name_of(encoding);
  }
}

TEST_P(EveryEncoding, RangesGiveTheSameBits) {
  const EncodingInfo& row = info(GetParam());
  const std::int64_t cols = row.row_aligned ? 96 : 101;
  const auto values = random_weights(static_cast<std::size_t>(37 * cols), 9);
  const EncodedTensor whole = row.encode(values, 37, cols);
  const std::size_t unit =
      row.row_aligned ? static_cast<std::size_t>(cols) : static_cast<std::size_t>(row.block);
  tensor::Buffer codes(static_cast<std::size_t>(row.code_bytes(37, cols)));
  std::vector<float> scales(static_cast<std::size_t>(row.scale_count(37, cols)));
  // Backwards, in pieces of one to three units: no range depends on another.
  std::size_t end = values.size();
  for (std::size_t piece = 1; end > 0; piece = piece % 3 + 1) {
    const std::size_t units = (end + unit - 1) / unit;
    const std::size_t begin = (units - std::min(units, piece)) * unit;
    row.encode_range(std::span(values).subspan(begin, end - begin),
                     static_cast<std::int64_t>(begin), cols, {codes.data(), codes.size()}, scales);
    end = begin;
  }
  const EncodedTensor parts{row.id, 37, cols, share(std::move(codes)), scales, nullptr};
  EXPECT_EQ(code_bytes(parts), code_bytes(whole));
  EXPECT_EQ(bits(parts.scales), bits(whole.scales));
}

TEST_P(EveryEncoding, EncodingTwiceIsStable) {
  const EncodingInfo& row = info(GetParam());
  const EncodedTensor once = row.encode(random_weights(40 * 64, 3), 40, 64);
  const std::vector<float> values = decode(once);
  const std::vector<float> again = decode(row.encode(values, 40, 64));
  // A decoded block keeps its extreme, so its scale differs by rounding at most.
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(again[i], values[i], 2e-3F * 0.5F) << row.name << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryEncoding, testing::ValuesIn(encoders()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace assay::precision
