#include "study/merge_rounds.h"

#include <gtest/gtest.h>

namespace assay::study {
namespace {

Json energy(double value, double error, double iterations, double watts, double seconds) {
  return {{"value", value},           {"unit", "J/sample"},        {"error", error},
          {"meter", "made up"},       {"windows", {value, value}}, {"steps", 40},
          {"iterations", iterations}, {"seconds", seconds},        {"watts", watts}};
}

/// One round of an encoder's row: one sample in seconds, batch 2.
Json round_of(double sample, const Json& energy_gross, const Json& proved = true) {
  return {
      {"test", "b2s8"},
      {"status", proved == Json(true) ? "ok" : "invalid"},
      {"reason", proved == Json(true) ? "" : "planned a, ran b"},
      {"proved", proved},
      {"samples", {sample}},
      {"iterations", {{"asked", 1}, {"ran", 1}, {"warmup", 2}, {"steady", true}, {"checked", 1}}},
      {"marks", {"a mark"}},
      {"conditions", nullptr},
      {"executed",
       {{{"layer", "x"}, {"kernel", "k"}, {"calls", 7}, {"rows_min", 3}, {"rows_max", 5}}}},
      {"metrics",
       {{"latency", {{"value", sample * 500}, {"unit", "ms"}, {"per_iteration", 2.0}, {"n", 1}}},
        {"energy_gross", energy_gross},
        {"noise_floor", {{"value", sample / 10}, {"unit", "1"}}},
        {"peak_device_memory", {{"value", nullptr}, {"reason", "the cell ran on the CPU"}}},
        {"peak_host_memory", {{"value", 1000 * sample}, {"unit", "B"}}}}}};
}

TEST(MergeRounds, TimesComeFromAllSamplesAndEnergiesFromAllIterations) {
  const auto rows = merge_rounds({round_of(0.2, energy(4.0, 0.4, 10, 40, 1)),
                                  round_of(0.4, energy(1.0, 0.1, 30, 80, 3)),
                                  round_of(0.3, energy(4.0, 0.4, 10, 40, 1))});
  ASSERT_EQ(rows.size(), 1U);
  const Json& row = rows[0];
  EXPECT_EQ(row["rounds"], 3);
  EXPECT_EQ(row["samples"], Json({0.2, 0.4, 0.3}));
  const Json& latency = row["metrics"]["latency"];
  EXPECT_DOUBLE_EQ(latency["value"], 150.0);
  EXPECT_EQ(latency["n"], 3);
  EXPECT_EQ(latency["rounds"].size(), 3U);
  const Json& joules = row["metrics"]["energy_gross"];
  EXPECT_DOUBLE_EQ(joules["value"], (40.0 + 30.0 + 40.0) / 50.0);
  EXPECT_DOUBLE_EQ(joules["error"], (4.0 + 3.0 + 4.0) / 50.0);
  EXPECT_DOUBLE_EQ(joules["watts"], (40.0 + 240.0 + 40.0) / 5.0);
  EXPECT_EQ(joules["windows"].size(), 6U);
  EXPECT_EQ(joules["steps"], 120);
  EXPECT_EQ(joules["iterations"], 50.0);
  EXPECT_EQ(row["metrics"]["noise_floor"]["value"], 0.04) << "the largest";
  EXPECT_EQ(row["metrics"]["peak_host_memory"]["value"], 400.0);
  EXPECT_EQ(row["metrics"]["peak_device_memory"]["reason"], "the cell ran on the CPU");
  EXPECT_EQ(row["executed"].size(), 1U);
  EXPECT_EQ(row["executed"][0]["calls"], 21);
  EXPECT_EQ(row["iterations"]["ran"], 3);
  EXPECT_EQ(row["iterations"]["warmup"], 6);
  EXPECT_EQ(row["marks"], Json({"a mark"}));
  EXPECT_EQ(row["proved"], true);
  EXPECT_EQ(row["status"], "ok");
}

TEST(MergeRounds, ARoundWithoutAFigureLeavesNone) {
  const Json none = {{"value", nullptr}, {"reason", "the counter went backwards"}};
  const auto rows = merge_rounds({round_of(0.2, energy(4.0, 0.4, 10, 40, 1)), round_of(0.2, none)});
  EXPECT_EQ(rows.at(0)["metrics"]["energy_gross"], none);
  EXPECT_EQ(rows.at(0)["metrics"]["latency"]["n"], 2);
}

TEST(MergeRounds, OneDisprovedRoundDisprovesTheRow) {
  const Json joules = energy(4.0, 0.4, 10, 40, 1);
  for (const auto& rows : {merge_rounds({round_of(1, joules, false), round_of(1, joules)}),
                           merge_rounds({round_of(1, joules), round_of(1, joules, false)})}) {
    EXPECT_EQ(rows.at(0)["proved"], false);
    EXPECT_EQ(rows.at(0)["status"], "invalid");
    EXPECT_EQ(rows.at(0)["reason"], "planned a, ran b");
  }
  const auto unproved = merge_rounds({round_of(1, joules), round_of(1, joules, nullptr)});
  EXPECT_TRUE(unproved.at(0)["proved"].is_null());
}

TEST(MergeRounds, TestsStayApartAndSingleOnesAsTheyAre) {
  Json other = round_of(0.5, energy(4.0, 0.4, 10, 40, 1));
  other["test"] = "b1s8";
  const Json row = round_of(0.2, energy(4.0, 0.4, 10, 40, 1));
  const auto rows = merge_rounds({row, other, row});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["test"], "b2s8");
  EXPECT_EQ(rows[0]["rounds"], 2);
  EXPECT_EQ(rows[1], other);
  EXPECT_TRUE(merge_rounds({}).empty());
}

}  // namespace
}  // namespace assay::study
