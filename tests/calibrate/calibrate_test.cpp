#include "calibrate/calibrate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/hash.h"
#include "base/scratch_folder.h"
#include "files/safetensors_writer.h"
#include "golden_source.h"
#include "tasks/task_models.h"

namespace assay::calibrate {
namespace {

namespace fs = std::filesystem;
using engine::TokenId;
using testing::expect_error;

Data random_data(const engine::ModelSource& source, std::vector<std::size_t> lengths) {
  base::Random random(11);
  Data data{.sequences = {}, .origin = "random"};
  for (const std::size_t length : lengths) {
    auto& sequence = data.sequences.emplace_back(length);
    for (TokenId& id : sequence) {
      id = static_cast<TokenId>(
          random.below(static_cast<std::uint64_t>(source.config().vocabulary)));
    }
  }
  return data;
}

TEST(Calibrate, EveryLayerSeesEveryToken) {
  const auto source = golden("llama_untied");
  const auto table = run(source, random_data(*source, {9, 4, 17}), {.threads = 1});
  EXPECT_EQ(table.tokens, 30);
  for (const precision::LayerInfo& layer : source->layers()) {
    const auto* seen = table.find(layer.name);
    ASSERT_EQ(seen == nullptr, layer.lookup) << layer.name;
    if (layer.lookup) continue;
    EXPECT_EQ(seen->rows, 30) << layer.name;
    EXPECT_EQ(std::ssize(seen->column_absmax), layer.cols) << layer.name;
    EXPECT_EQ(seen->magnitudes.total(), 30 * layer.cols) << layer.name;
    EXPECT_GT(seen->absmax(), 0.0F) << layer.name;
  }
}

/// The pooler's input is the first token's hidden state, which the model gives out.
TEST(Calibrate, ColumnsAreThoseOfTheActivations) {
  const auto source = golden("bert_classifier");
  const Data data = random_data(*source, {5, 12, 3});
  const auto table = run(source, data, {.threads = 1});
  const auto model = tasks::load_golden("bert_classifier", "fp32", 1);
  std::vector<float> expected(static_cast<std::size_t>(model->config().hidden));
  for (const auto& tokens : data.sequences) {
    const engine::Sequence sequence{tokens, 0};
    const auto hidden = model->encode({&sequence, 1});
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = std::max(expected[i], std::fabs(hidden.row<float>(0)[i]));
    }
  }
  const precision::LayerCalibration* pooler = nullptr;
  for (const auto& layer : table.layers) {
    if (layer.layer.ends_with("pooler.dense")) pooler = &layer;
  }
  ASSERT_NE(pooler, nullptr);
  EXPECT_EQ(pooler->column_absmax, expected);
}

TEST(Calibrate, ThreadsAndOrderChangeNothing) {
  const auto source = golden("llama_tied");
  Data data = random_data(*source, {40, 3, 21});
  const auto table = run(source, data, {.threads = 1});
  EXPECT_EQ(run(source, data, {.threads = 2}).hash(), table.hash());
  std::ranges::reverse(data.sequences);
  const auto other = run(source, data, {.threads = 2});
  EXPECT_EQ(other.to_json().at("layers"), table.to_json().at("layers"));
  EXPECT_NE(other.data_hash, table.data_hash);
}

/// A file of tensors with ids and mask, as torch or numpy would have saved them.
std::string token_file(const testing::ScratchFolder& folder, std::vector<std::int32_t> ids,
                       std::vector<std::int32_t> mask) {
  const fs::path file = folder.path() / "tokens.safetensors";
  const std::vector<std::int64_t> shape = {2, std::ssize(ids) / 2};
  files::SafetensorsWriter writer(
      file, {{"input_ids", "I32", shape}, {"attention_mask", "I32", shape}}, {});
  writer.write("input_ids", std::as_bytes(std::span(ids)));
  writer.write("attention_mask", std::as_bytes(std::span(mask)));
  writer.commit();
  return file.string();
}

TEST(Calibrate, ReadsTokensWithoutPadding) {
  const testing::ScratchFolder folder;
  const auto source = golden("llama_tied");
  const std::string file = token_file(folder, {5, 6, 7, 8, 9, 1}, {1, 1, 1, 1, 0, 0});
  const Data data = read_data(*source, {.file = file});
  EXPECT_EQ(data.sequences, (std::vector<std::vector<TokenId>>{{5, 6, 7}, {8}}));
  EXPECT_EQ(data.origin, "tokens.safetensors, 2 sequences, 4 tokens");
  EXPECT_EQ(read_data(*source, {.file = file, .samples = 1}).sequences.size(), 1U);
  const std::string wrong = token_file(folder, {5, 100'000}, {1, 1});
  expect_error(ErrorCode::bad_data, {"tokens.safetensors", "token 100000"},
               [&] { (void)read_data(*source, {.file = wrong}); });
}

TEST(Calibrate, ReadsText) {
  const fs::path model = tasks::real_path("ASSAY_SMOLLM2");
  if (model.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 names no model";
  const testing::ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 60; ++i) text += "The quick brown fox jumps over the lazy dog. ";
  const auto source = engine::ModelSource::open(model);
  const Data data = read_data(
      *source, {.file = folder.write("a.txt", text).string(), .samples = 3, .length = 16});
  ASSERT_EQ(data.sequences.size(), 3U);
  EXPECT_EQ(data.sequences[1].size(), 16U);
  EXPECT_EQ(data.origin, "a.txt, 3 sequences, 48 tokens");
  expect_error(ErrorCode::io, {"nothing.txt"}, [&] {
    (void)read_data(*source, {.file = (folder.path() / "nothing.txt").string()});
  });
}

TEST(Calibrate, FixedOutliersMakeRowsIndependent) {
  const auto source = golden("llama_tied");
  const Data data = random_data(*source, {64, 64});
  const auto table = run(source, data, {.threads = 1});
  // So low a threshold that the small random model has outliers.
  const Json spec = {{"precision", "int8"},       {"threshold", 1.5},
                     {"outliers", "calibrated"},  {"activations", "fp32"},
                     {"calibration", "data.txt"}, {"kv", "fp32"}};
  const auto recipe = precision::parse_recipe("int8", spec, "test");
  auto plan = engine::make_plan(*source, recipe, {.calibration = &table});
  ASSERT_TRUE(plan.supported()) << plan.reasons();
  EXPECT_EQ(plan.calibration.at("table"), table.hash());
  std::size_t fixed = 0;
  for (const auto& entry : plan.entries) fixed += entry.outliers ? entry.outliers->size() : 0;
  ASSERT_GT(fixed, 0U);
  engine::Model model(source, plan, {.threads = 1});
  const auto last_logits = [&](std::size_t count) {
    auto cache = model.make_cache(2, 64);
    std::vector<engine::Sequence> batch;
    for (std::size_t i = 0; i < count; ++i) {
      batch.push_back({data.sequences[i], static_cast<int>(i)});
    }
    const auto logits = model.decode(batch, cache);
    return std::vector<float>(logits.row<float>(0), logits.row<float>(0) + logits.cols);
  };
  EXPECT_EQ(last_logits(1), last_logits(2));
  EXPECT_EQ(precision::compare(plan, model.ledger()), "");
}

TEST(Calibrate, PlansWithoutATableCanOnlyBeLookedAt) {
  const auto source = golden("llama_tied");
  const Json spec = {{"precision", "int8"}, {"outliers", "calibrated"}};
  const auto without = engine::make_plan(*source, precision::parse_recipe("a", spec, "test"), {});
  EXPECT_FALSE(without.supported());
  EXPECT_NE(without.reasons().find("calibration: FILE"), std::string::npos) << without.reasons();

  Json with = spec;
  with["calibration"] = "data.txt";
  auto plan = engine::make_plan(*source, precision::parse_recipe("a", with, "test"), {});
  EXPECT_TRUE(plan.supported());
  EXPECT_TRUE(plan.awaits_calibration());
  expect_error(ErrorCode::internal, {"without the calibration"},
               [&] { engine::Model(source, plan, {.threads = 1}); });

  const precision::CalibrationTable empty;
  plan = engine::make_plan(*source, precision::parse_recipe("a", with, "test"),
                           {.calibration = &empty});
  EXPECT_NE(plan.reasons().find("never reached"), std::string::npos) << plan.reasons();
}

}  // namespace
}  // namespace assay::calibrate
