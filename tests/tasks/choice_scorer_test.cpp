#include "tasks/choice_scorer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/scratch_folder.h"
#include "tasks/task_models.h"

namespace assay::tasks {
namespace {

using engine::TokenId;
using testing::expect_error;
using Tokens = std::vector<TokenId>;
using Scores = std::vector<std::vector<ChoiceScore>>;

Tokens random_tokens(base::Random& random, std::size_t count, std::int64_t vocabulary) {
  Tokens tokens(count);
  for (TokenId& id : tokens) {
    id = static_cast<TokenId>(random.below(static_cast<std::uint64_t>(vocabulary)));
  }
  return tokens;
}

/// Two groups that share their first tokens, one without; one token and longer choices.
std::vector<ChoiceTokens> questions(std::int64_t vocabulary) {
  base::Random random(5);
  std::vector<ChoiceTokens> items;
  for (int group = 0; group < 3; ++group) {
    const Tokens shots = random_tokens(random, group == 2 ? 0 : 17 + 9 * group, vocabulary);
    for (int i = 0; i < 7; ++i) {
      ChoiceTokens item{.context = shots, .continuations = {}, .group = group};
      const Tokens own = random_tokens(random, 1 + random.below(12), vocabulary);
      item.context.insert(item.context.end(), own.begin(), own.end());
      for (int c = 0; c < 4; ++c) {
        item.continuations.push_back(
            random_tokens(random, group == 1 ? 1 : 1 + random.below(6), vocabulary));
      }
      items.push_back(std::move(item));
    }
  }
  return items;
}

Scores score(engine::Model& model, std::span<const ChoiceTokens> items,
             const ScoringOptions& options, const std::vector<bool>& done = {}) {
  ChoiceScorer scorer(model, items, options);
  Scores scores(items.size());
  double last = 0.0;
  scorer.run(done, [&](std::span<const ChoiceScorer::Scored> scored, double fraction) {
    for (const auto& one : scored) {
      EXPECT_TRUE(scores[one.item].empty()) << "item " << one.item << " came twice";
      scores[one.item] = one.choices;
    }
    EXPECT_GE(fraction, last);
    last = fraction;
  });
  EXPECT_EQ(last, 1.0);
  return scores;
}

void expect_same_bits(const Scores& a, const Scores& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size()) << i;
    for (std::size_t c = 0; c < a[i].size(); ++c) {
      EXPECT_EQ(a[i][c].log_likelihood, b[i][c].log_likelihood) << i << " " << c;
      EXPECT_EQ(a[i][c].greedy, b[i][c].greedy) << i << " " << c;
    }
  }
}

TEST(ChoiceScorer, EqualsTheDefinition) {
  const auto model = load_golden("llama_tied", "fp32");
  const auto items = questions(model->config().vocabulary);
  const Scores scores = score(*model, items, {});
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t c = 0; c < 4; ++c) {
      Tokens text = items[i].context;
      const Tokens& continuation = items[i].continuations[c];
      text.insert(text.end(), continuation.begin(), continuation.end());
      double sum = 0.0;
      auto cache = model->make_cache(1, std::ssize(text));
      model->score({text, 0}, cache, [&](std::int64_t position, std::span<const float> logits) {
        const auto next = static_cast<std::size_t>(position) + 1;
        if (next < items[i].context.size() || next >= text.size()) return;
        double total = 0.0;
        for (const float logit : logits) total += std::exp(double{logit});
        sum += double{logits[static_cast<std::size_t>(text[next])]} - std::log(total);
      });
      EXPECT_NEAR(scores[i][c].log_likelihood, sum, 1e-5 * std::abs(sum)) << i << " " << c;
    }
  }
}

TEST(ChoiceScorer, BatchThreadsOrderAndCacheChangeNoBitInFp32) {
  const auto model = load_golden("llama_tied", "fp32", 1);
  const auto items = questions(model->config().vocabulary);
  const Scores reference = score(*model, items, {.batch = 16});
  expect_same_bits(score(*model, items, {.batch = 1}), reference);
  expect_same_bits(score(*model, items, {.batch = 3}), reference);
  expect_same_bits(score(*model, items, {.batch = 16, .prefix_cache = false}), reference);
  expect_same_bits(score(*model, items, {.batch = 1, .prefix_cache = false}), reference);
  expect_same_bits(score(*load_golden("llama_tied", "fp32", 2), items, {.batch = 5}), reference);
  const std::vector<ChoiceTokens> reversed(items.rbegin(), items.rend());
  Scores other = score(*model, reversed, {.batch = 4});
  std::ranges::reverse(other);
  expect_same_bits(other, reference);
}

TEST(ChoiceScorer, ComputesSharedTokensOnce) {
  const auto model = load_golden("llama_tied", "fp32");
  const auto items = questions(model->config().vocabulary);
  std::int64_t alone = 0;
  for (const auto& item : items) {
    for (const auto& c : item.continuations) alone += std::ssize(item.context) + std::ssize(c) - 1;
  }
  const ChoiceScorer scorer(*model, items, {});
  EXPECT_LT(scorer.tokens() * 4, alone);
}

TEST(ChoiceScorer, GoesOnWhereItStopped) {
  const auto model = load_golden("llama_tied", "int8");
  const auto items = questions(model->config().vocabulary);
  const Scores whole = score(*model, items, {.batch = 3});
  // Whole batches are left out, in part done ones run as they are.
  std::vector<bool> done(items.size(), false);
  for (const std::size_t i : {0, 3, 4, 5, 8, 9, 10, 11, 12, 13}) done[i] = true;
  const Scores rest = score(*model, items, {.batch = 3}, done);
  for (std::size_t i = 0; i < items.size(); ++i) {
    ASSERT_EQ(rest[i].empty(), done[i]) << i;
    for (std::size_t c = 0; c < rest[i].size(); ++c) {
      EXPECT_EQ(rest[i][c].log_likelihood, whole[i][c].log_likelihood) << i;
    }
  }
}

TEST(ChoiceScorer, TooLongContextsLoseTokensOnTheLeft) {
  const auto model = load_golden("llama_tied", "fp32");
  const auto most = static_cast<std::size_t>(model->config().max_positions);
  base::Random random(9);
  const std::int64_t vocabulary = model->config().vocabulary;
  ChoiceTokens item{.context = random_tokens(random, most, vocabulary),
                    .continuations = {random_tokens(random, 1, vocabulary),
                                      random_tokens(random, 5, vocabulary)}};
  const std::vector<ChoiceTokens> items = {item};
  ChoiceScorer scorer(*model, items, {});
  EXPECT_EQ(scorer.truncated(), 1);
  const Scores scores = score(*model, items, {});
  // What is left of the second choice's context: together most + 1 tokens, the last is not fed.
  ChoiceTokens cut{.context = {item.context.begin() + 4, item.context.end()},
                   .continuations = {item.continuations[1]}};
  const Scores expected = score(*model, std::vector<ChoiceTokens>{cut}, {});
  EXPECT_EQ(scores[0][1].log_likelihood, expected[0][0].log_likelihood);
  item.continuations[0] = random_tokens(random, most + 1, vocabulary);
  const std::vector<ChoiceTokens> hopeless = {item};
  expect_error(ErrorCode::usage, {"choice 1 of item 1", "positions"},
               [&] { ChoiceScorer scorer(*model, hopeless, {}); });
}

}  // namespace
}  // namespace assay::tasks
