// Every family against transformers in fp32, on small random models.
#include <gtest/gtest.h>

#include "engine/support.h"

namespace assay::testing {
namespace {

constexpr double kTolerance = 1e-4;

class GoldenDecoders : public ::testing::TestWithParam<std::string> {
 protected:
  Golden golden_{golden_model(GetParam()) / "golden.safetensors"};
  std::unique_ptr<engine::Model> model_ = load_model(golden_model(GetParam()), "fp32", 2);
};

TEST_P(GoldenDecoders, LogitsAgree) {
  int checked = 0;
  for (; golden_.has(fmt::format("seq{}.ids", checked)); ++checked) {
    const Tokens ids = golden_.tokens(fmt::format("seq{}.ids", checked));
    const auto reference = golden_.values(fmt::format("seq{}.logits", checked));
    EXPECT_LE(disagreement(all_logits(*model_, ids), reference), kTolerance) << checked;
  }
  EXPECT_EQ(checked, 6);
}

TEST_P(GoldenDecoders, GreedyTokensWithTheCacheAreEqual) {
  int checked = 0;
  for (; golden_.has(fmt::format("greedy{}.prompt", checked)); ++checked) {
    const Tokens tokens = golden_.tokens(fmt::format("greedy{}.tokens", checked));
    const Tokens prompt = golden_.tokens(fmt::format("greedy{}.prompt", checked));
    EXPECT_EQ(greedy(*model_, prompt, std::ssize(tokens)), tokens) << checked;
  }
  EXPECT_EQ(checked, 3);
  EXPECT_EQ(precision::compare(model_->plan(), model_->ledger()), "");
}

INSTANTIATE_TEST_SUITE_P(Llama, GoldenDecoders,
                         ::testing::Values("llama_tied", "llama_untied", "llama_single_kv"));

class GoldenEncoders : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    for (int i = 0; golden_.has(fmt::format("seq{}.ids", i)); ++i) {
      ids_.push_back(golden_.tokens(fmt::format("seq{}.ids", i)));
    }
    ASSERT_EQ(ids_.size(), 6U);
    for (const Tokens& ids : ids_) batch_.push_back({ids, 0});
  }

  /// Result of the whole batch at once against the reference of each sequence.
  void expect_agreement(const std::string& name, tensor::MatrixView result) {
    ASSERT_EQ(result.rows, 6);
    for (std::int64_t i = 0; i < result.rows; ++i) {
      const auto reference = golden_.values(fmt::format("seq{}.{}", i, name));
      EXPECT_LE(disagreement(copy(result.slice(i, 1)), reference), kTolerance) << name << i;
    }
  }

  Golden golden_{golden_model(GetParam()) / "golden.safetensors"};
  std::unique_ptr<engine::Model> model_ = load_model(golden_model(GetParam()), "fp32", 2);
  std::vector<Tokens> ids_;
  std::vector<engine::Sequence> batch_;
};

TEST_P(GoldenEncoders, HiddenStatesAgreeInARaggedBatch) {
  const tensor::MatrixView hidden = model_->encode(batch_);
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const auto reference = golden_.values(fmt::format("seq{}.hidden", i));
    EXPECT_LE(disagreement(copy(hidden.slice(begin, std::ssize(ids_[i]))), reference), kTolerance);
    begin += std::ssize(ids_[i]);
  }
  EXPECT_EQ(begin, hidden.rows);
}

TEST_P(GoldenEncoders, EmbeddingsAgree) {
  expect_agreement("mean", model_->embed(batch_, false));
  expect_agreement("normalized", model_->embed(batch_, true));
}

TEST_P(GoldenEncoders, ClassLogitsAgree) {
  if (!golden_.has("seq0.logits")) {
    EXPECT_THROW((void)model_->classify(batch_), Error);
    return;
  }
  expect_agreement("logits", model_->classify(batch_));
  EXPECT_EQ(precision::compare(model_->plan(), model_->ledger()), "");
}

TEST_P(GoldenEncoders, RefuseWhatDoesNotFit) {
  const Tokens longer(static_cast<std::size_t>(model_->config().max_positions) + 1, 3);
  const engine::Sequence sequence{longer, 0};
  expect_error(ErrorCode::usage, {"101 tokens", "100 positions"}, [&] {
    (void)model_->encode({&sequence, 1});
  });
  const Tokens unknown{3, static_cast<TokenId>(model_->config().vocabulary)};
  const engine::Sequence outside{unknown, 0};
  expect_error(ErrorCode::bad_data, {"word_embeddings"}, [&] {
    (void)model_->encode({&outside, 1});
  });
  expect_error(ErrorCode::usage, {"empty"}, [&] { (void)model_->encode({}); });
  expect_error(ErrorCode::usage, {"encoder"}, [&] { (void)model_->make_cache(1, 8); });
}

INSTANTIATE_TEST_SUITE_P(Bert, GoldenEncoders,
                         ::testing::Values("bert_embedding", "bert_classifier",
                                           "distilbert_classifier"));

}  // namespace
}  // namespace assay::testing
