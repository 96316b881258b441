// GGUF files made here from the golden models: the same weights must give the same bits.
#include <gtest/gtest.h>

#include "engine/encode_weight.h"
#include "engine/gguf_model.h"

namespace assay::testing {
namespace {

using precision::Encoding;

Tokens forty_tokens() {
  Tokens tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back(2 + i * 7 % 120);
  return tokens;
}

class Gguf : public ::testing::TestWithParam<std::string> {};

TEST_P(Gguf, GivesTheBitsOfTheSafetensorsFile) {
  const auto gguf = GgufModel::golden(GetParam());
  const ScratchFolder folder;
  const auto from_gguf =
      load_model(folder.write(GetParam() + ".F32.gguf", gguf.bytes()), "fp32", 2);
  const auto original = load_model(gguf.source, "fp32", 2);
  EXPECT_EQ(from_gguf->source().name(), GetParam());
  EXPECT_EQ(from_gguf->source().parameters(), original->source().parameters());
  EXPECT_EQ(all_logits(*from_gguf, forty_tokens()), all_logits(*original, forty_tokens()));
}

INSTANTIATE_TEST_SUITE_P(Llama, Gguf,
                         ::testing::Values("llama_tied", "llama_untied", "llama_single_kv"));

/// Llama with biases on every linear of its blocks, all of the size `scale`.
std::filesystem::path with_biases(const ScratchFolder& folder, float scale) {
  const auto path = golden_model("llama_single_kv");
  Json config = golden_config("llama_single_kv");
  config["attention_bias"] = true;
  config["mlp_bias"] = true;
  RawTensors tensors = read_raw(path / "model.safetensors");
  base::Random random(9);
  const auto source = engine::ModelSource::open(path);
  for (const models::WeightSpec& spec : source->weights().weights) {
    if (!spec.matrix || spec.layer.block < 0) continue;
    std::vector<float> bias(static_cast<std::size_t>(spec.layer.rows));
    for (float& b : bias) b = scale * static_cast<float>(random.normal());
    tensors[spec.name + ".bias"] = floats({spec.layer.rows}, bias);
  }
  return write_model(folder, config, tensors);
}

TEST(GgufModels, BiasesArePermutedWithTheirRows) {
  const ScratchFolder folder;
  const Tokens ids = forty_tokens();
  const auto plain = all_logits(*load_model(golden_model("llama_single_kv"), "fp32"), ids);
  const ScratchFolder zero;
  EXPECT_EQ(all_logits(*load_model(with_biases(zero, 0.0F), "fp32"), ids), plain);

  const GgufModel biased(with_biases(folder, 0.3F));
  const auto expected = all_logits(*load_model(biased.source, "fp32"), ids);
  EXPECT_GT(relative_error(expected, plain), 0.01);
  const auto gguf = load_model(folder.write("biased.gguf", biased.bytes()), "fp32");
  EXPECT_TRUE(gguf->config().attention_bias);
  EXPECT_EQ(all_logits(*gguf, ids), expected);
}

TEST(GgufModels, StoredRowsArePutInOrderWithoutRequantizing) {
  auto gguf = GgufModel::golden("llama_untied");  // 96 wide: whole blocks of 32
  gguf.encoding = Encoding::f16;
  gguf.table = Encoding::q8_0;
  const ScratchFolder folder;
  const auto model = load_model(folder.write("m.gguf", gguf.bytes()), "stored", 1);
  EXPECT_LE(disagreement(all_logits(*model, forty_tokens()),
                         all_logits(*load_model(gguf.source, "fp32", 1), forty_tokens())),
            0.05);
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
}

TEST(GgufModels, UndoingThePermutationWorksOnEveryRowAlignedEncoding) {
  constexpr std::int64_t kHead = 6;
  constexpr std::int64_t kCols = 64;
  base::Random random(3);
  std::vector<float> values(4 * kHead * kCols);
  for (float& v : values) v = static_cast<float>(random.normal());
  for (const precision::EncodingInfo& info : precision::all_encodings()) {
    if (!info.row_aligned || info.encode == nullptr || info.id == Encoding::int8) continue;
    const auto wanted = info.encode(values, 4 * kHead, kCols);
    const auto permuted = info.encode(interleaved(values, kCols, kHead), 4 * kHead, kCols);
    const auto undone = engine::undo_interleaving(permuted, kHead);
    EXPECT_TRUE(std::ranges::equal(undone.codes.bytes, wanted.codes.bytes)) << info.name;
    EXPECT_FALSE(std::ranges::equal(permuted.codes.bytes, wanted.codes.bytes)) << info.name;
  }
}

TEST(GgufModels, ATiedHeadIsRecognizedByItsMissingTensor) {
  const ScratchFolder folder;
  const auto tied = GgufModel::golden("llama_tied");
  const auto source = engine::ModelSource::open(folder.write("m.gguf", tied.bytes()));
  EXPECT_TRUE(source->config().tied_head);
  const auto untied = GgufModel::golden("llama_untied");
  EXPECT_FALSE(
      engine::ModelSource::open(folder.write("u.gguf", untied.bytes()))->config().tied_head);
}

TEST(GgufModels, VariantsAreRefusedByTheirKey) {
  const auto gguf = GgufModel::golden("llama_tied");
  const ScratchFolder folder;
  const auto refused = [&](const std::string& key, const std::string& message, auto change) {
    GgufWriter header = gguf.header();
    change(header);
    const auto path = folder.write("bad.gguf", gguf.bytes(std::move(header)));
    expect_error(ErrorCode::bad_data, {"bad.gguf", key, message},
                 [&] { (void)engine::ModelSource::open(path); });
  };
  refused("llama.rope.scaling.type", "longrope",
          [](GgufWriter& h) { h.text("llama.rope.scaling.type", "longrope"); });
  refused("llama.expert_count", "8", [](GgufWriter& h) { h.integer("llama.expert_count", 8); });

  GgufWriter falcon;
  falcon.text("general.architecture", "falcon");
  const auto path = folder.write("falcon.gguf", falcon.bytes());
  expect_error(ErrorCode::bad_data, {"falcon.gguf", "general.architecture", "falcon", "llama"},
               [&] { (void)engine::ModelSource::open(path); });

  GgufWriter empty;
  empty.text("general.architecture", "llama");
  const auto lacking = folder.write("lacking.gguf", empty.bytes());
  expect_error(ErrorCode::bad_data, {"lacking.gguf", "llama.", "missing"},
               [&] { (void)engine::ModelSource::open(lacking); });
}

}  // namespace
}  // namespace assay::testing
