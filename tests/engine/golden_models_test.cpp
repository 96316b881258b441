// Every family against transformers in fp32, on small random models.
#include <gtest/gtest.h>

#include <set>

#include "engine/support.h"

namespace assay::testing {
namespace {

constexpr double kTolerance = 1e-4;

/// The random models of tests/golden/models, decoders or encoders.
std::vector<std::string> golden_names(bool decoders) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_model(""))) {
    const auto file = entry.path() / "golden.safetensors";
    // Others are outputs of real models, or of quantized checkpoints.
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    if (!std::filesystem::exists(file)) continue;
    if (Golden(file).has(decoders ? "greedy0.prompt" : "seq0.hidden")) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

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

INSTANTIATE_TEST_SUITE_P(All, GoldenDecoders, ::testing::ValuesIn(golden_names(true)));

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

INSTANTIATE_TEST_SUITE_P(All, GoldenEncoders, ::testing::ValuesIn(golden_names(false)));

TEST(GoldenFamilies, EveryFamilyHasAModelHere) {
  std::set<std::string> seen;
  for (const bool decoders : {true, false}) {
    for (const std::string& name : golden_names(decoders)) {
      seen.insert(engine::ModelSource::open(golden_model(name))->config().family);
    }
  }
  for (const std::string& family : models::family_names())
    EXPECT_TRUE(seen.contains(family)) << family;
}

TEST(GoldenFamilies, AFusedTensorIsCountedOnce) {
  for (const char* name : {"phi3", "gpt2"}) {
    const auto source = engine::ModelSource::open(golden_model(name));
    std::int64_t count = 0;
    for (const files::StoredTensor& tensor : source->tensors().tensors()) {
      std::int64_t elements = 1;
      for (const std::int64_t n : tensor.shape) elements *= n;
      count += elements;
    }
    EXPECT_EQ(source->parameters(), count) << name;
    EXPECT_TRUE(source->weights().notices.empty()) << name;
  }
}

TEST(GoldenFamilies, LearnedPositionsEndForDecodersToo) {
  const auto model = load_model(golden_model("gpt2"), "fp32", 1);
  models::KvCache cache = model->make_cache(1, 200);
  const Tokens many(150, 3);
  const engine::Sequence first{many, 0};
  (void)model->decode({&first, 1}, cache);
  const Tokens more(11, 3);
  const engine::Sequence second{more, 0};
  expect_error(ErrorCode::usage, {"161 tokens", "160 positions"}, [&] {
    (void)model->decode({&second, 1}, cache);
  });
}

TEST(GoldenFamilies, QuantizedRecipesRunOnFusedAndTransposedLayers) {
  for (const char* name : {"phi3", "gpt2", "qwen3", "mistral"}) {
    const Golden golden(golden_model(name) / "golden.safetensors");
    const Tokens ids = golden.tokens("seq4.ids");
    const auto reference = golden.values("seq4.logits");
    for (const char* precision : {"bf16", "int8"}) {
      const auto model = load_model(golden_model(name), precision, 2);
      EXPECT_LE(relative_error(all_logits(*model, ids), reference), 0.1) << name << precision;
      EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "") << name << precision;
    }
  }
}

}  // namespace
}  // namespace assay::testing
