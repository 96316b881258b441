#include "precision/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/hash.h"

namespace assay::precision {
namespace {

TEST(MagnitudeHistogram, BordersArePowersOfTwoCutEvenly) {
  using Histogram = MagnitudeHistogram;
  EXPECT_EQ(Histogram::border(0), 0.0F);
  EXPECT_EQ(Histogram::border(1), 0x1p-24F);
  EXPECT_EQ(Histogram::border(1 + 24 * Histogram::kPerOctave), 1.0F);
  EXPECT_EQ(Histogram::border(1 + 24 * Histogram::kPerOctave + 1), 1.0F + 1.0F / 64);
  EXPECT_EQ(Histogram::border(Histogram::kBins), 0x1p16F);
}

TEST(MagnitudeHistogram, CountsByMagnitude) {
  MagnitudeHistogram histogram;
  const std::vector<float> values = {0.0F, -0.0F, 1e-30F, 1.0F, -1.0F, 1.015F, 1.016F, 3e38F};
  histogram.add(values);
  const int one = 1 + 24 * MagnitudeHistogram::kPerOctave;
  EXPECT_EQ(histogram.total(), 8);
  EXPECT_EQ(histogram.counts().at(0), 3);
  EXPECT_EQ(histogram.counts().at(one), 3);
  EXPECT_EQ(histogram.counts().at(one + 1), 1);
  EXPECT_EQ(histogram.counts().back(), 1);
}

TEST(MagnitudeHistogram, PercentilesAreThoseOfTheSamplesToABin) {
  base::Random random(3);
  std::vector<float> values(20'000);
  for (float& value : values) value = static_cast<float>(random.normal());
  MagnitudeHistogram histogram;
  histogram.add(std::span(values).first(7'000));
  histogram.add(std::span(values).subspan(7'000));
  for (float& value : values) value = std::fabs(value);
  std::ranges::sort(values);
  for (const double percent : {1.0, 50.0, 99.0, 99.9}) {
    const auto at = static_cast<std::size_t>(percent / 100.0 * 20'000);
    EXPECT_NEAR(histogram.percentile(percent) / values[at], 1.0, 1.0 / 64) << percent;
  }
  EXPECT_GE(histogram.percentile(100), values.back());
  EXPECT_EQ(MagnitudeHistogram().percentile(50), 0.0);
}

CalibrationTable table() {
  CalibrationTable table{.origin = "a.txt", .data_hash = "12", .tokens = 3, .layers = {}};
  LayerCalibration layer{.layer = "a", .rows = 3, .column_absmax = {5.9F, 6.0F, 0.1F, 7.0F}};
  layer.magnitudes.add(layer.column_absmax);
  table.layers = {layer, {.layer = "b", .rows = 1, .column_absmax = {1.0F}}};
  return table;
}

TEST(CalibrationTable, SaysWhichColumnsReachAThreshold) {
  const CalibrationTable t = table();
  const LayerCalibration* layer = t.find("a");
  ASSERT_NE(layer, nullptr);
  EXPECT_EQ(layer->columns_reaching(6.0F), (std::vector<std::int32_t>{1, 3}));
  EXPECT_EQ(layer->columns_reaching(8.0F), std::vector<std::int32_t>());
  EXPECT_EQ(layer->absmax(), 7.0F);
  EXPECT_EQ(t.find("c"), nullptr);
}

TEST(CalibrationTable, IsTheSameBehindJson) {
  const CalibrationTable t = table();
  const auto again = CalibrationTable::from_json(Json::parse(t.to_json().dump()));
  EXPECT_EQ(again.to_json(), t.to_json());
  EXPECT_EQ(again.hash(), t.hash());
  EXPECT_EQ(again.layers[0].magnitudes.counts(), t.layers[0].magnitudes.counts());
}

TEST(CalibrationTable, HashIsOfWhatWasSeen) {
  CalibrationTable t = table();
  const std::string hash = t.hash();
  t.origin = "b.txt";
  EXPECT_EQ(t.hash(), hash);
  t.layers[1].column_absmax[0] = 1.5F;
  EXPECT_NE(t.hash(), hash);
}

TEST(CalibrationTable, DamagedJsonIsRefused) {
  Json json = table().to_json();
  json["layers"][0]["magnitudes"]["first"] = 2'600;
  EXPECT_THROW((void)CalibrationTable::from_json(json), Error);
  json = table().to_json();
  json["layers"][0].erase("rows");
  EXPECT_THROW((void)CalibrationTable::from_json(json), Error);
}

}  // namespace
}  // namespace assay::precision
