// gpt-oss checkpoints in MXFP4: the codes run as they are stored, and the logits are those that
// transformers computes with its dequantization.
#include <gtest/gtest.h>

#include "engine/support.h"

namespace assay::testing {
namespace {

constexpr const char* kStoredExperts =
    "{default: {precision: stored, compute: fp32}, activations: fp32, kv: fp32, rules: ["
    "{match: attention, precision: fp32}, {match: head, precision: fp32}, "
    "{match: embeddings, precision: fp32}, {match: '*.router', precision: fp32}]}";
const std::string kExperts = "model.layers.1.mlp.experts.";

class Mxfp4Checkpoint : public ::testing::Test {
 protected:
  std::filesystem::path folder_ = golden_model("gpt_oss_mxfp4");
  Golden golden_{folder_ / "golden.safetensors"};
};

TEST_F(Mxfp4Checkpoint, IsDecodedBitForBit) {
  const auto source = engine::ModelSource::open(folder_);
  for (const auto& [name, rows, cols] :
       {std::tuple{"gate_up_proj", 3 * 192, 64}, std::tuple{"down_proj", 3 * 64, 96}}) {
    const files::StoredTensor* stored = source->tensors().find(kExperts + name);
    ASSERT_NE(stored, nullptr) << name;
    EXPECT_EQ(stored->type, "mxfp4");
    const precision::EncodedTensor weight = source->tensors().encoded(*stored);
    ASSERT_EQ(weight.rows, rows);
    ASSERT_EQ(weight.cols, cols);
    const std::vector<float> expected = golden_.values(std::string("decoded.") + name);
    std::vector<float> decoded(static_cast<std::size_t>(weight.elements()));
    for (std::int64_t r = 0; r < weight.rows; ++r) {
      precision::info(weight.encoding)
          .decode_row(weight, r, std::span(decoded).subspan(r * weight.cols, weight.cols));
    }
    EXPECT_EQ(decoded, expected) << name;
  }
}

TEST_F(Mxfp4Checkpoint, RunsAsStored) {
  const auto model = load_model(folder_, kStoredExperts, 2);
  EXPECT_EQ(model->plan().source, "gpt-oss mxfp4");
  int experts = 0;
  for (const precision::PlanEntry& entry : model->plan().entries) {
    if (entry.layer.name.find(".experts.") == std::string::npos) continue;
    EXPECT_EQ(entry.kernel.encoding, precision::Encoding::mxfp4) << entry.layer.name;
    ++experts;
  }
  EXPECT_EQ(experts, 6);  // gate, up and down of two blocks
  double largest = 0.0;
  int checked = 0;
  for (; golden_.has(fmt::format("seq{}.ids", checked)); ++checked) {
    const Tokens ids = golden_.tokens(fmt::format("seq{}.ids", checked));
    const auto reference = golden_.values(fmt::format("seq{}.logits", checked));
    largest = std::max(largest, disagreement(all_logits(*model, ids), reference));
  }
  EXPECT_EQ(checked, 4);
  EXPECT_LE(largest, kTolerance);
  EXPECT_EQ(greedy(*model, golden_.tokens("prompt"), 32), golden_.tokens("tokens"));
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
  RecordProperty("model", "gpt_oss_mxfp4");
  record_comparison(*model, "safetensors, gpt-oss mxfp4 as stored", "logits, 32 greedy tokens",
                    largest);
}

/// Decoded by the reference and multiplied as f32: the same bits.
TEST_F(Mxfp4Checkpoint, GivesTheBitsOfItsDequantization) {
  const Tokens ids = golden_.tokens("seq2.ids");
  EXPECT_EQ(all_logits(*load_model(folder_, kStoredExperts), ids),
            all_logits(*load_model(folder_, "fp32"), ids));
}

TEST_F(Mxfp4Checkpoint, RowsSayTheirSource) {
  const auto source = engine::ModelSource::open(folder_);
  EXPECT_EQ(engine::make_plan(*source, recipe("stored"), {}).recipe, "gpt-oss mxfp4 (stored)");
  EXPECT_EQ(engine::make_plan(*source, recipe("bf16"), {}).recipe, "bf16 (from gpt-oss mxfp4)");
}

TEST_F(Mxfp4Checkpoint, PartsThatDoNotFitAreNamed) {
  const auto refused = [&](const std::vector<std::string>& parts, const auto& change) {
    const ScratchFolder folder;
    RawTensors tensors = read_raw(folder_ / "model.safetensors");
    change(tensors);
    const auto path = write_model(folder, golden_config("gpt_oss_mxfp4"), tensors);
    const std::string message =
        expect_error(ErrorCode::bad_data, {}, [&] { (void)engine::ModelSource::open(path); });
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
    }
  };
  const std::string down = kExperts + "down_proj";
  refused({down + "_scales", "missing"}, [&](RawTensors& t) { t.erase(down + "_scales"); });
  refused({down + "_scales", "has shape"}, [&](RawTensors& t) {
    t[down + "_scales"].shape = {3, 32, 6};
  });
  refused({down + "_blocks", "is I8, must be U8"},
          [&](RawTensors& t) { t[down + "_blocks"].type = "I8"; });
  refused({down + "_blocks", "columns / 32, 16]"}, [&](RawTensors& t) {
    t[down + "_blocks"].shape = {3, 64, 6, 8};
  });
  refused({down, "has shape [3, 32, 192]", "[3, 64, 96]"}, [&](RawTensors& t) {
    t[down + "_blocks"].shape = {3, 32, 6, 16};
    t[down + "_scales"].shape = {3, 32, 6};
  });
}

}  // namespace
}  // namespace assay::testing
