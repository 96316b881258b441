// Checkpoints with quantized layers, written by the packages that define them: the codes run as
// they are stored, and the logits are the package's.
#include <gtest/gtest.h>

#include <fstream>

#include "base/scratch_folder.h"
#include "engine/encode_weight.h"
#include "engine/support.h"

namespace assay::testing {
namespace {

struct Checkpoint {
  std::string name;
  std::string source;
  double tolerance;  ///< of logits in fp32
  int layers;        ///< quantized ones
};
std::ostream& operator<<(std::ostream& out, const Checkpoint& c) { return out << c.name; }

/// Quantized layers as stored, everything else in fp32, as the reference has it.
constexpr const char* kRecipe =
    "{default: {precision: stored, compute: fp32}, activations: fp32, rules: [{match: head, "
    "precision: fp32}, {match: embeddings, precision: fp32}]}";
constexpr const char* kDecoded = "model.layers.1.mlp.down_proj.weight";

class QuantizedCheckpoints : public ::testing::TestWithParam<Checkpoint> {
 protected:
  std::filesystem::path folder_ = golden_model(GetParam().name);
  Golden golden_{folder_ / "golden.safetensors"};
};

TEST_P(QuantizedCheckpoints, AreDecodedBitForBit) {
  const auto source = engine::ModelSource::open(folder_);
  const files::StoredTensor* stored = source->tensors().find(kDecoded);
  ASSERT_NE(stored, nullptr);
  const precision::EncodedTensor weight = source->tensors().encoded(*stored);
  ASSERT_EQ(weight.rows, 64);
  ASSERT_EQ(weight.cols, 320);
  std::vector<float> decoded(64 * 320);
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    precision::info(weight.encoding)
        .decode_row(weight, r, std::span(decoded).subspan(r * weight.cols, weight.cols));
  }
  // Our int8 divides by 127 what it was multiplied with: one rounding more than compressed-tensors.
  const float allowed = GetParam().source == "compressed-tensors int8" ? 0x1p-22F : 0.0F;
  const std::vector<float> expected = golden_.values("decoded");
  ASSERT_EQ(decoded.size(), expected.size());
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    ASSERT_NEAR(decoded[i], expected[i], allowed * std::abs(expected[i])) << i;
  }
}

TEST_P(QuantizedCheckpoints, RunAsStored) {
  const auto model = load_model(folder_, kRecipe, 2);
  EXPECT_EQ(model->plan().source, GetParam().source);
  EXPECT_TRUE(model->plan().source_quantized);
  int quantized = 0;
  for (const auto& entry : model->plan().entries) quantized += entry.precision.quantized ? 1 : 0;
  EXPECT_EQ(quantized, GetParam().layers);
  int checked = 0;
  double largest = 0.0;
  for (; golden_.has(fmt::format("seq{}.ids", checked)); ++checked) {
    const Tokens ids = golden_.tokens(fmt::format("seq{}.ids", checked));
    const auto reference = golden_.values(fmt::format("seq{}.logits", checked));
    const double difference = disagreement(all_logits(*model, ids), reference);
    // With int8 activations: what codes make that a rounding can decide, by the golden file's
    // script.
    const std::string doubt = fmt::format("seq{}.tolerance", checked);
    const double tolerance = golden_.has(doubt)
                                 ? std::max<double>(GetParam().tolerance, golden_.values(doubt)[0])
                                 : GetParam().tolerance;
    EXPECT_LE(difference, tolerance) << checked;
    largest = std::max(largest, difference);
  }
  record_comparison(*model, "safetensors, " + GetParam().source + " as stored", "logits", largest);
  EXPECT_EQ(checked, 4);
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
}

TEST_P(QuantizedCheckpoints, PartsOfRowsKeepTheirScales) {
  constexpr std::int64_t kFirst = 256;
  constexpr std::int64_t kCount = 64;
  const auto source = engine::ModelSource::open(folder_);
  const auto* stored = source->tensors().find("model.layers.0.mlp.gate_proj.weight");
  ASSERT_NE(stored, nullptr);
  const precision::EncodedTensor whole = source->tensors().encoded(*stored);
  const precision::EncodedTensor part = engine::slice_rows(whole, kFirst, kCount);
  const precision::EncodingInfo& info = precision::info(whole.encoding);
  std::vector<float> expected(static_cast<std::size_t>(whole.cols));
  std::vector<float> values(expected.size());
  for (std::int64_t r = 0; r < kCount; ++r) {
    info.decode_row(whole, kFirst + r, expected);
    info.decode_row(part, r, values);
    ASSERT_EQ(values, expected) << r;
  }
  if (whole.nested == nullptr) return;
  expect_error(ErrorCode::unsupported, {"inside of a block"},
               [&] { (void)engine::slice_rows(whole, 100, 4); });
}

TEST_P(QuantizedCheckpoints, RowsSayTheirSource) {
  const auto source = engine::ModelSource::open(folder_);
  EXPECT_EQ(engine::make_plan(*source, recipe("stored"), {}).recipe,
            GetParam().source + " (stored)");
  EXPECT_EQ(engine::make_plan(*source, recipe("bf16"), {}).recipe,
            "bf16 (from " + GetParam().source + ")");
}

INSTANTIATE_TEST_SUITE_P(
    Packed, QuantizedCheckpoints,
    ::testing::Values(Checkpoint{"gptq_act_order", "gptq int4", 1e-4, 14},
                      Checkpoint{"gptq_asymmetric", "gptq int4", 1e-4, 14},
                      Checkpoint{"gptq_v2", "gptq int4", 1e-4, 14},
                      Checkpoint{"gptq_row_8bit", "gptq uint8", 1e-4, 14},
                      Checkpoint{"awq_gemm", "awq int4", 1e-4, 14},
                      Checkpoint{"ct_int4", "compressed-tensors int4", 1e-4, 14},
                      Checkpoint{"ct_int4_asymmetric", "compressed-tensors int4", 1e-4, 14},
                      Checkpoint{"ct_w8a16", "compressed-tensors uint8", 1e-4, 14},
                      Checkpoint{"ct_w8a8", "compressed-tensors int8", 1e-4, 14},
                      Checkpoint{"ct_fp8", "compressed-tensors fp8_e4m3", 1e-4, 14}),
    [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Bitsandbytes, QuantizedCheckpoints,
                         ::testing::Values(Checkpoint{"bnb_nf4", "bnb nf4", 1e-4, 14},
                                           Checkpoint{"bnb_nf4_double", "bnb nf4", 1e-4, 14},
                                           Checkpoint{"bnb_fp4", "bnb fp4", 1e-4, 14},
                                           Checkpoint{"bnb_int8", "bnb int8", 1e-2, 14}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace assay::testing
