#include "report/answers.h"

#include <gtest/gtest.h>

#include "report/report.h"

namespace assay::report {
namespace {

using study::StoredCell;

/// A scored cell: its accuracy row and, in `answers`, which items it gets right.
StoredCell cell_of(const std::string& recipe, const std::string& test, double share, double n,
                   double chance) {
  StoredCell cell{.key = "key-" + recipe, .id = "m/" + recipe, .status = "ok"};
  cell.cell = {{"model", "/m"}, {"recipe_name", recipe}, {"device", "cpu"}, {"baseline", "bf16"}};
  const double half = 1.96 * std::sqrt(share * (1 - share) / n);
  const Json acc = {{"value", share},
                    {"unit", "1"},
                    {"ci95", {share - half, share + half}},
                    {"chance", chance},
                    {"n", n}};
  cell.rows.push_back({{"model", "m"},
                       {"recipe", recipe},
                       {"device", "cpu"},
                       {"status", "ok"},
                       {"proved", true},
                       {"test", test},
                       {"metrics", {{"acc", acc}}},
                       {"executed", Json::array()}});
  return cell;
}

/// `right` of n answers are right, those at the end of the list wrong; then `flips` at the front
/// turn wrong.
Json answers(int n, int right, int flips = 0) {
  Json items = Json::array();
  for (int i = 0; i < n; ++i) {
    const bool correct = i < right && i >= flips;
    items.push_back({{"i", i},
                     {"gold", 1},
                     {"predicted", correct ? 1 : 0},
                     {"text", fmt::format("question {}", i)},
                     {"choices", {"no", "yes"}}});
  }
  return items;
}

struct Fixture {
  std::vector<StoredCell> cells;
  std::map<std::string, Json> items;
  void add(const std::string& recipe, const Json& list, double chance = 0.5) {
    double right = 0;
    for (const Json& item : list) right += item["predicted"] == item["gold"] ? 1 : 0;
    cells.push_back(
        cell_of(recipe, "sst2", right / double(list.size()), double(list.size()), chance));
    items["key-" + recipe] = list;
  }
  [[nodiscard]] ItemSource source() const {
    return [this](const std::string& key, const std::string& test) {
      return test == "sst2" && items.contains(key) ? items.at(key) : Json::array();
    };
  }
};

TEST(PairedAccuracy, CountsFlipsAndCorrectsForTheFamily) {
  Fixture f;
  f.add("bf16", answers(1000, 900));
  f.add("int8", answers(1000, 903, 1));  // one lost, three gained
  f.add("nf4", answers(1000, 900, 40));  // forty lost
  const auto models = gather(f.cells);
  const auto pairs = paired_accuracies(models.at(0), f.source());
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].lost, 1);
  EXPECT_EQ(pairs[0].gained, 3);
  EXPECT_DOUBLE_EQ(pairs[0].p, 0.625);  // 2 x (1 + 4) / 16
  EXPECT_DOUBLE_EQ(pairs[0].p_holm, 0.625);
  EXPECT_EQ(pairs[1].lost, 40);
  EXPECT_DOUBLE_EQ(pairs[1].p_holm, 2 * pairs[1].p);
  EXPECT_NEAR(pairs[1].difference(), -0.04, 1e-12);
  // Forty of a thousand: the standard error is 0.62 points.
  EXPECT_NEAR(pairs[1].interval.low, -0.0522, 0.002);
  EXPECT_NEAR(pairs[1].interval.high, -0.0285, 0.002);
}

TEST(PairedAccuracy, SaysWhatFollows) {
  Fixture f;
  f.add("bf16", answers(1000, 900));
  f.add("int8", answers(1000, 903, 1));
  f.add("nf4", answers(1000, 900, 40));
  f.add("up", answers(1000, 960));
  f.add("short", answers(999, 900));
  f.add("luck", answers(1000, 510));
  const auto models = gather(f.cells);
  const auto pairs = paired_accuracies(models.at(0), f.source());
  ASSERT_EQ(pairs.size(), 5U);
  // Four of 1,000 answers differ: only one-sided flips of eight or so could be seen.
  EXPECT_EQ(in_words(pairs[0]),
            "not distinguishable from bf16 at n = 1,000 (a difference under 0.8 points could not "
            "have been seen)");
  EXPECT_EQ(in_words(pairs[1]).find("worse by 4.0 points ("), 0U) << in_words(pairs[1]);
  EXPECT_EQ(in_words(pairs[2]).find("better by 6.0 points ("), 0U) << in_words(pairs[2]);
  EXPECT_EQ(in_words(pairs[3]), "not the same items as its baseline");
  EXPECT_EQ(in_words(pairs[4]), "at chance: cannot rank precisions");
}

TEST(PairedAccuracy, IsInTheTableAndInJson) {
  Fixture f;
  f.add("bf16", answers(1000, 900));
  f.add("nf4", answers(1000, 900, 40));
  const std::string text = table(f.cells, false, false, f.source());
  EXPECT_NE(text.find("worse by 4.0 points"), std::string::npos) << text;
  EXPECT_NE(text.find("40, 0"), std::string::npos) << text;
  EXPECT_EQ(table(f.cells, false).find("worse by"), std::string::npos);
  const Json rows = document(f.cells, f.source()).at("comparisons");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["lost"], 40);
  EXPECT_EQ(rows[0]["recipe"], "nf4");
  EXPECT_LT(rows[0]["p_holm"].get<double>(), 1e-9);
}

/// One recipe's tasks may stand in several cells: each is compared with the baseline's of its test.
TEST(PairedAccuracy, FindsTheBaselineThatHasTheTest) {
  Fixture f;
  f.add("bf16", answers(100, 90));
  f.add("int8", answers(100, 90, 2));
  for (const char* recipe : {"bf16", "int8"}) {
    f.cells.push_back(cell_of(recipe, "mmlu", 0.5, 100, 0.25));
    f.cells.back().key += "-mmlu";
  }
  const ItemSource items = [&](const std::string& key, const std::string& test) {
    if (test == "sst2") return f.items.contains(key) ? f.items.at(key) : Json::array();
    return answers(100, 50, key == "key-int8-mmlu" ? 7 : 0);
  };
  const auto models = gather(f.cells);
  const auto pairs = paired_accuracies(models.at(0), items);
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].test, "sst2");
  EXPECT_EQ(pairs[0].lost, 2);
  EXPECT_EQ(pairs[1].test, "mmlu");
  EXPECT_EQ(pairs[1].lost, 7);
}

TEST(FlippedItems, ShowTextAndAnswers) {
  Fixture f;
  f.add("bf16", answers(100, 90));
  f.add("int8", answers(100, 92, 1));
  const std::string text = flipped_items(f.cells, f.source(), "", "", 20);
  EXPECT_NE(text.find("sst2: bf16 -> int8: 3 of 100 items flip"), std::string::npos) << text;
  EXPECT_NE(text.find("#0 right -> wrong: question 0"), std::string::npos) << text;
  EXPECT_NE(text.find("#91 wrong -> right: question 91"), std::string::npos) << text;
  EXPECT_NE(text.find("gold 1 \"yes\""), std::string::npos) << text;
  const std::string one = flipped_items(f.cells, f.source(), "sst2", "int8", 1);
  EXPECT_NE(one.find("and 2 more (--most 3)"), std::string::npos) << one;
  EXPECT_EQ(flipped_items(f.cells, f.source(), "mmlu", "", 20).find("No two recipes"), 0U);
}

TEST(PairedPerplexity, ComparesWindows) {
  std::vector<StoredCell> cells;
  std::map<std::string, Json> items;
  for (const auto& [recipe, extra] : {std::pair{"bf16", 0.0}, {"nf4", 0.02}}) {
    cells.push_back(cell_of(recipe, "perplexity", 0.5, 10, 0.1));
    for (int i = 0; i < 40; ++i) {
      const double nll = 300 + i % 7 + 100 * extra * (1 + 0.1 * (i % 3 - 1));
      items["key-" + std::string(recipe)].push_back(
          {{"i", i}, {"begin", 100 * i}, {"tokens", 100}, {"weight", 100}, {"nll", nll}});
    }
  }
  const auto models = gather(cells);
  const ItemSource source = [&](const std::string& key, const std::string&) {
    return items.at(key);
  };
  const auto pairs = paired_perplexities(models.at(0), source);
  ASSERT_EQ(pairs.size(), 1U);
  EXPECT_NEAR(pairs[0].ratio, std::exp(0.02), 1e-4);
  EXPECT_LT(pairs[0].interval.low, pairs[0].ratio);
  EXPECT_EQ(in_words(pairs[0]).find("perplexity higher by 2.0"), 0U) << in_words(pairs[0]);
}

}  // namespace
}  // namespace assay::report
