// int8-static from recipe to result: its ranges are those of the calibration, and its outputs those
// of a product with them.
#include <gtest/gtest.h>

#include <fstream>

#include "base/scratch_folder.h"
#include "calibrate/calibrate.h"
#include "calibrate/table_file.h"
#include "engine/support.h"
#include "golden_source.h"
#include "tasks/task_models.h"

namespace assay::calibrate {
namespace {

using testing::expect_error;

precision::Recipe recipe(const std::string& text) {
  return precision::parse_recipe_argument(text).front();
}

precision::CalibrationTable random_table(const std::shared_ptr<const engine::ModelSource>& source) {
  precision::CalibrationData wanted;
  wanted.random_seed = 5;
  wanted.samples = 6;
  wanted.length = 40;
  return run(source, read_data(*source, wanted), {.threads = 2});
}

TEST(Static, RandomTokensSaySo) {
  const auto source = golden("llama_tied");
  const auto table = random_table(source);
  EXPECT_NE(table.origin.find("random tokens (seed 5)"), std::string::npos) << table.origin;
  EXPECT_EQ(table.tokens, 240);
  EXPECT_EQ(random_table(source).hash(), table.hash());
}

TEST(Static, RangesAreTheCalibrations) {
  for (const char* name : {"llama_untied", "bert_classifier"}) {
    const auto source = golden(name);
    const auto table = random_table(source);
    const auto minmax =
        engine::make_plan(*source, recipe("{precision: int8-static, calibration: {random: 5}}"),
                          {.calibration = &table});
    const auto percentile = engine::make_plan(
        *source, recipe("{precision: int8-static, percentile: 99, calibration: {random: 5}}"),
        {.calibration = &table});
    ASSERT_TRUE(minmax.supported()) << minmax.reasons();
    EXPECT_NE(minmax.hash(), percentile.hash());
    int layers = 0;
    for (std::size_t i = 0; i < minmax.entries.size(); ++i) {
      const auto& entry = minmax.entries[i];
      if (entry.precision.activation != precision::Activation::int8_static) continue;
      ++layers;
      const auto* seen = table.find(entry.layer.name);
      ASSERT_NE(seen, nullptr);
      EXPECT_EQ(entry.activation_range, seen->absmax());
      const auto range = percentile.entries[i].activation_range;
      EXPECT_EQ(range, static_cast<float>(seen->magnitudes.percentile(99)));
      EXPECT_LT(*range, seen->absmax());
    }
    EXPECT_GT(layers, 4);
  }
}

/// Against the same model in fp32, as near as int8 with a scale per row is, within a factor.
TEST(Static, OutputsAreNearThoseOfDynamicInt8) {
  const auto source = golden("bert_classifier");
  const auto table = random_table(source);
  const engine::TokenId ids[] = {5, 9, 33, 71, 12, 8, 90, 41};
  const engine::Sequence sequence{ids, 0};
  const auto logits = [&](const std::string& text) {
    auto plan = engine::make_plan(*source, recipe(text), {.calibration = &table});
    engine::Model model(source, std::move(plan), {.threads = 1});
    const auto y = model.classify({&sequence, 1});
    const std::string difference = precision::compare(model.plan(), model.ledger());
    EXPECT_EQ(difference, "");
    return std::vector<float>(y.row<float>(0), y.row<float>(0) + y.cols);
  };
  const auto exact = logits("fp32");
  const auto error = [&](const std::vector<float>& got) {
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(double{got[i]} - exact[i]));
    }
    return worst;
  };
  const double dynamic = error(logits("{precision: int8, threshold: 0, compute: fp32}"));
  const double fixed =
      error(logits("{precision: int8-static, compute: fp32, calibration: {random: 5}}"));
  EXPECT_GT(fixed, 0.0);
  EXPECT_LT(fixed, 4 * dynamic);
}

/// A trained classifier, calibrated on the first half of what it is asked about. Its margins move
/// no more than a few times as far as with a scale for each row; with the largest value that was
/// seen for a range they move far more, since trained models have outliers, and random ones have
/// none.
TEST(Static, ARealClassifierWantsAPercentile) {
  const auto path = tasks::real_path("ASSAY_SHARED", "models/distilbert-sst2-mini");
  if (path.empty()) GTEST_SKIP() << "models/distilbert-sst2-mini is not in ASSAY_SHARED";
  const testing::Golden golden(testing::golden_model("sst2_mini") / "golden.safetensors");
  constexpr int kCount = 20;
  std::vector<testing::Tokens> texts;
  for (int i = 0; i < kCount; ++i) texts.push_back(golden.tokens(fmt::format("seq{}.ids", i)));
  const auto source = engine::ModelSource::open(path);
  const auto table = run(
      source, {.sequences = {texts.begin(), texts.begin() + kCount / 2}, .origin = "golden"}, {});
  /// Largest change of a margin, the difference of the two classes' logits, from fp32.
  const auto moved = [&](const std::string& text) {
    engine::Model model(source, engine::make_plan(*source, recipe(text), {.calibration = &table}),
                        {});
    double most = 0;
    for (int i = 0; i < kCount; ++i) {
      const engine::Sequence sequence{texts[static_cast<std::size_t>(i)], 0};
      const auto y = model.classify({&sequence, 1});
      const auto exact = golden.values(fmt::format("seq{}.logits", i));
      const double margin = double{y.row<float>(0)[1]} - y.row<float>(0)[0];
      most = std::max(most, std::abs(margin - (double{exact[1]} - exact[0])));
    }
    EXPECT_EQ(precision::compare(model.plan(), model.ledger()), "");
    return most;
  };
  const double dynamic = moved("{precision: int8, threshold: 0, compute: fp32}");
  const double fixed =
      moved("{precision: int8-static, compute: fp32, percentile: 99.99, calibration: {random: 5}}");
  const double minmax = moved("{precision: int8-static, compute: fp32, calibration: {random: 5}}");
  EXPECT_GT(fixed, 0.0);
  EXPECT_LT(fixed, 4 * dynamic) << "dynamic: " << dynamic;
  EXPECT_LT(fixed, minmax);
}

TEST(Static, WithoutDataItIsUnsupported) {
  const auto source = golden("llama_untied");
  const auto plan = engine::make_plan(*source, recipe("int8-static"), {});
  EXPECT_FALSE(plan.supported());
  EXPECT_NE(plan.reasons().find("needs calibration data"), std::string::npos) << plan.reasons();
  // A table of other layers is as good as none.
  precision::CalibrationTable empty;
  const auto other =
      engine::make_plan(*source, recipe("{precision: int8-static, calibration: {random: 1}}"),
                        {.calibration = &empty});
  EXPECT_NE(other.reasons().find("never reached this layer"), std::string::npos);
}

TEST(Static, TablesAreWrittenAndRead) {
  const testing::ScratchFolder folder;
  const auto table = random_table(golden("llama_tied"));
  const auto file = folder.path() / "table.json";
  write_table(file, "0123", table);
  const auto back = read_table(file, "0123");
  EXPECT_EQ(back.hash(), table.hash());
  EXPECT_EQ(back.origin, table.origin);
  expect_error(ErrorCode::bad_data, {"another model"}, [&] { (void)read_table(file, "4567"); });
  const auto other = folder.write("other.json", "{\"a\": 1}");
  expect_error(ErrorCode::bad_data, {"is no calibration table"},
               [&] { (void)read_table(other, "0123"); });
  const auto broken =
      folder.write("broken.json", "{\"assay_calibration\": 1, \"model\": \"0123\", \"table\": {}}");
  expect_error(ErrorCode::bad_data, {"broken.json"}, [&] { (void)read_table(broken, "0123"); });
}

}  // namespace
}  // namespace assay::calibrate
