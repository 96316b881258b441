// GGUF files in every quantized type: run as stored, against what the package `gguf` decodes.
#include <gtest/gtest.h>

#include "base/io.h"
#include "engine/gguf_model.h"
#include "files/stored_type.h"

namespace assay::testing {
namespace {

using precision::Encoding;

constexpr const char* kStored =
    "{default: {precision: stored, compute: fp32}, activations: fp32, kv: fp32}";

/// Random Llama of 256 wide: whole blocks of every encoding. The same bits on every machine, which
/// the golden logits belong to: no function but +, - and * makes its values.
std::filesystem::path wide_model(const ScratchFolder& folder) {
  constexpr std::int64_t kWide = 256;
  Json config = golden_config("llama_single_kv");
  config.update({{"hidden_size", kWide},
                 {"intermediate_size", kWide},
                 {"num_attention_heads", 4},
                 {"head_dim", 64}});
  RawTensors tensors;
  base::Random random(12);
  const auto source = engine::ModelSource::open(golden_model("llama_single_kv"));
  for (const models::WeightSpec& spec : source->weights().weights) {
    const bool one_head = spec.role.ends_with("key") || spec.role.ends_with("value");
    const bool words = spec.layer.lookup || spec.role.starts_with("head");
    const std::int64_t rows = words ? spec.layer.rows : one_head ? 64 : spec.matrix ? kWide : 1;
    std::vector<float> values(static_cast<std::size_t>(rows * kWide), 1.0F);
    if (!spec.matrix) {
      tensors[spec.stored] = floats({kWide}, values);
      continue;
    }
    for (float& v : values) {
      const auto whole = static_cast<std::int32_t>(random.next() >> 40U) - (1 << 23);
      v = static_cast<float>(whole) * 0x1p-23F * 0.09F;
    }
    tensors[spec.stored] = floats({rows, kWide}, values);
  }
  return write_model(folder, config, tensors);
}

/// Names of the quantized types that GGUF files have.
std::vector<std::string> types() {
  std::vector<std::string> found;
  for (std::uint32_t id = 0; id < 64; ++id) {
    const files::StoredType* type = files::find_ggml_type(id);
    if (type == nullptr || !type->encoding) continue;
    const precision::EncodingInfo& info = precision::info(*type->encoding);
    if (info.quantized) found.emplace_back(info.name);
  }
  return found;
}

class GoldenGgufTypes : public ::testing::TestWithParam<std::string> {
 protected:
  /// ASSAY_WRITE_GGUF_TYPES names a folder for the files, which make_gguf_types_golden.py reads.
  void SetUp() override {
    gguf_.encoding = gguf_.table = encoding_;
    const char* kept = std::getenv("ASSAY_WRITE_GGUF_TYPES");
    path_ = std::filesystem::path(kept != nullptr ? kept : folder_.path()) / (GetParam() + ".gguf");
    base::write_atomically(path_, gguf_.bytes());
  }

  Encoding encoding_ = precision::find_encoding(GetParam())->id;
  ScratchFolder folder_;
  GgufModel gguf_{wide_model(folder_)};
  std::filesystem::path path_;
};

TEST_P(GoldenGgufTypes, LogitsAgreeWithTheDequantizedModel) {
  const Golden golden(std::filesystem::path(ASSAY_GOLDEN_DIR) / "gguf" / "types.safetensors");
  const auto model = load_model(path_, kStored, 2);
  ASSERT_EQ(model->source().dominant_encoding(), encoding_);
  const double largest =
      disagreement(all_logits(*model, golden.tokens("ids")), golden.values(GetParam() + ".logits"));
  EXPECT_LE(largest, kTolerance);
  record_comparison(*model, "gguf " + GetParam() + " as stored", "logits", largest);
}

/// Decoded by the reference and multiplied as f32: the same bits.
TEST_P(GoldenGgufTypes, RunAsStored) {
  const Tokens ids = {2, 9, 16, 23, 30, 37, 44, 51, 58, 65, 72, 79, 86, 93, 100, 107, 114, 1};
  const auto stored = load_model(path_, kStored, 2);
  EXPECT_EQ(all_logits(*stored, ids), all_logits(*load_model(path_, "fp32", 2), ids));
  EXPECT_EQ(precision::compare(stored->plan(), stored->ledger()), "");
  for (const precision::PlanEntry& entry : stored->plan().entries) {
    EXPECT_EQ(entry.kernel.encoding, encoding_) << entry.layer.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenGgufTypes, ::testing::ValuesIn(types()),
                         [](const auto& info) { return info.param; });

TEST(GgufTypes, AreAllThatTheProgramReads) { EXPECT_EQ(types().size(), 13U); }

}  // namespace
}  // namespace assay::testing
