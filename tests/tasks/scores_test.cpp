#include <gtest/gtest.h>

#include <cmath>

#include "base/scratch_folder.h"
#include "stats/calibration.h"
#include "tasks/choice_scorer.h"
#include "tasks/metrics.h"
#include "tasks/multiple_choice.h"
#include "tasks/task_models.h"

namespace assay::tasks {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

/// Written by tests/golden/scripts/make_tasks_golden.py with lm-eval and transformers.
Json golden(const std::string& name) {
  return base::read_json(std::string(ASSAY_GOLDEN_DIR) + "/tasks/" + name);
}

class SmolLm2 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (real_path("ASSAY_SMOLLM2").empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 is not set";
  }
  static engine::Model& model() {
    static const auto loaded = load_path(real_path("ASSAY_SMOLLM2"), "fp32");
    return *loaded;
  }
  [[nodiscard]] static std::string text_file() {
    return std::string(ASSAY_GOLDEN_DIR) + "/tasks/text.txt";
  }
};

TEST_F(SmolLm2, LogLikelihoodsEqualLmEval) {
  std::vector<ChoiceTokens> items;
  const Json cases = golden("smollm2.json").at("likelihoods");
  for (const Json& c : cases) {
    auto pair = split_pair(model().source().tokenizer(), c.at("context").get<std::string>(),
                           c.at("continuation").get<std::string>());
    items.push_back({.context = std::move(pair.context), .continuations = {pair.continuation}});
  }
  ASSERT_GE(items.size(), 14U);
  ChoiceScorer scorer(model(), items, {});
  std::size_t seen = 0;
  scorer.run({}, [&](std::span<const ChoiceScorer::Scored> scored, double) {
    for (const auto& one : scored) {
      const Json& c = cases[one.item];
      EXPECT_NEAR(one.choices[0].log_likelihood, c.at("log_likelihood").get<double>(), 1e-3)
          << c.dump();
      EXPECT_EQ(one.choices[0].greedy, c.at("greedy").get<bool>()) << c.dump();
      ++seen;
    }
  });
  EXPECT_EQ(seen, items.size());
}

TEST_F(SmolLm2, PerplexityEqualsBothProcedures) {
  const Json wanted = golden("smollm2.json").at("perplexity");
  for (const Json& c : wanted.at("huggingface")) {
    const auto result = run_perplexity(model(), text_file(),
                                       {.context = c.at("context"), .stride = c.at("stride")}, {});
    const double value = result.metrics["perplexity"]["value"];
    EXPECT_NEAR(value / c.at("value").get<double>(), 1.0, 1e-4) << c.dump();
  }
  const Json& llama = wanted.at("llama.cpp");
  const auto result = run_perplexity(
      model(), text_file(),
      {.procedure = PerplexityProcedure::llama_cpp, .context = llama.at("context")}, {});
  const Json metric = result.metrics["perplexity"];
  EXPECT_NEAR(metric["value"].get<double>() / llama.at("value").get<double>(), 1.0, 1e-4);
  EXPECT_NEAR(metric["stderr"].get<double>() / llama.at("stderr").get<double>(), 1.0, 1e-3);
  expect_error(ErrorCode::bad_data, {"text.txt", "two windows of 4096"}, [&] {
    (void)run_perplexity(model(), text_file(),
                         {.procedure = PerplexityProcedure::llama_cpp, .context = 4096}, {});
  });
  expect_error(ErrorCode::usage, {"unknown procedure 'x'"},
               [] { (void)perplexity_procedure("x"); });
}

/// A question whose choices are words of different length.
ChoiceData small_data() {
  ChoiceData data{.task = "multiple_choice", .items = {}, .source = "here"};
  for (const auto& [context, choices] :
       {std::pair<std::string, std::vector<std::string>>{"The sky is",
                                                         {"blue", "a kind of cheese"}},
        {"Two and two are", {"four", "yellow", "late"}},
        {"Paris is the capital of", {"France", "the moon and all its craters"}},
        {"Water is", {"wet", "loud"}}}) {
    data.items.push_back({.context = context, .choices = choices, .gold = 0, .group = {}});
  }
  return data;
}

TEST_F(SmolLm2, MultipleChoiceGivesMetricsAndAnswers) {
  Json streamed = Json::array();
  TaskOptions options{.batch = 2};
  options.items = [&](const Json& items) {
    for (const Json& item : items) streamed.push_back(item);
  };
  const auto result = run_multiple_choice(model(), small_data(), options);
  EXPECT_EQ(streamed.size(), 4U);
  ASSERT_EQ(result.items.size(), 4U);
  int correct = 0;
  for (const Json& item : result.items) {
    const auto scores = item.at("log_likelihoods").get<std::vector<double>>();
    EXPECT_EQ(item.at("predicted").get<std::ptrdiff_t>(),
              std::ranges::max_element(scores) - scores.begin());
    correct += item.at("predicted") == item.at("gold") ? 1 : 0;
  }
  EXPECT_EQ(result.metrics["acc"]["value"].get<double>(), correct / 4.0);
  EXPECT_NEAR(result.metrics["acc"]["chance"].get<double>(), (3 * 0.5 + 1 / 3.0) / 4, 1e-15);
  EXPECT_GE(correct, 3);
  EXPECT_EQ(result.metrics["truncated_items"]["value"], 0);

  // What is left of a stopped run is not asked again, and the result is the same.
  Json again = Json::array();
  options.resume = Json::array({streamed[0], streamed[1]});
  options.items = [&](const Json& items) {
    for (const Json& item : items) again.push_back(item);
  };
  const auto rest = run_multiple_choice(model(), small_data(), options);
  EXPECT_EQ(again.size(), 2U);
  EXPECT_EQ(rest.items, result.items);
  EXPECT_NE(rest.notes.dump().find("2 of 4 items were answered before"), std::string::npos);
  // Where nothing is left to do, one item is scored again: a row proves what ran.
  options.resume = streamed;
  model().ledger().clear();
  EXPECT_EQ(run_multiple_choice(model(), small_data(), options).items, result.items);
  EXPECT_FALSE(model().ledger().entries().empty());
}

TEST(MultipleChoice, NeedsALanguageModel) {
  const auto encoder = load_golden("bert_embedding", "fp32");
  expect_error(ErrorCode::usage, {"no language model"},
               [&] { (void)run_multiple_choice(*encoder, small_data(), {}); });
}

TEST(Sst2, ScoresRealSentencesAndTokens) {
  const auto path = real_path("ASSAY_SHARED", "models/distilbert-sst2-mini");
  const auto file = real_path("ASSAY_SHARED", "data/sst2/eval2000.tsv");
  if (path.empty() || file.empty()) GTEST_SKIP() << "ASSAY_SHARED is not set";
  const auto model = load_path(path, "fp32");
  const auto result = run_sst2(*model, file, {.limit = 200});
  const Json predictions =
      base::read_json(std::string(ASSAY_GOLDEN_DIR) + "/models/sst2_mini/predictions.json");
  const auto wanted = predictions.at("predicted").get<std::string>();
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(result.items[i]["predicted"].get<int>(), wanted[i] - '0') << i;
  }
  const Json matrix = result.metrics["confusion_matrix"]["value"];
  const double tp = matrix[1][1];
  EXPECT_DOUBLE_EQ(result.metrics["recall"]["value"], tp / (tp + matrix[1][0].get<double>()));
  EXPECT_EQ(result.metrics["acc"]["chance"], 0.5);
  EXPECT_GT(result.metrics["calibration_error"]["value"].get<double>(), 0.0);
  EXPECT_LT(result.metrics["calibration_error"]["value"].get<double>(), 0.2);
}

TEST(Sst2, BadDataIsAnError) {
  const ScratchFolder folder;
  const auto path = real_path("ASSAY_SHARED", "models/distilbert-sst2-mini");
  if (path.empty()) GTEST_SKIP() << "ASSAY_SHARED is not set";
  const auto model = load_path(path, "fp32");
  expect_error(ErrorCode::bad_data, {"item 2", "label 2 is outside the model's 2 labels"}, [&] {
    (void)run_sst2(*model, folder.write("a.tsv", "sentence\tlabel\na\t1\nb\t2\n"), {});
  });
  std::string text;
  for (int i = 0; i < 700; ++i) text += "long ";
  const auto result =
      run_sst2(*model, folder.write("b.csv", "text,label\n" + text + ",1\nNA,0\n"), {});
  EXPECT_NE(result.notes.dump().find("1 of 2 items are longer"), std::string::npos);
}

TEST(AccuracyMetric, HasLmEvalsStandardErrorAndChance) {
  const Json metric = accuracy_metric(30, 120, 0.25);
  EXPECT_DOUBLE_EQ(metric["value"], 0.25);
  EXPECT_NEAR(metric["stderr"].get<double>(), std::sqrt(0.25 * 0.75 / 119), 1e-15);
  EXPECT_EQ(metric["n"], 120);
  EXPECT_LT(metric["ci95"][0].get<double>(), 0.25);
}

}  // namespace
}  // namespace assay::tasks
