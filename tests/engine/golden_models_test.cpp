// Every family against transformers in fp32, on small random models.
#include <gtest/gtest.h>

#include <set>

#include "base/io.h"
#include "engine/support.h"

namespace assay::testing {
namespace {

void record(const engine::Model& model, const char* check, double largest) {
  record_comparison(model, std::string(model.source().tensors().format()), check, largest);
}

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
  double largest = 0.0;
  for (; golden_.has(fmt::format("seq{}.ids", checked)); ++checked) {
    const Tokens ids = golden_.tokens(fmt::format("seq{}.ids", checked));
    const auto reference = golden_.values(fmt::format("seq{}.logits", checked));
    largest = std::max(largest, disagreement(all_logits(*model_, ids), reference));
    EXPECT_LE(largest, kTolerance) << checked;
  }
  EXPECT_EQ(checked, 6);
  record(*model_, "logits", largest);
}

TEST_P(GoldenDecoders, GreedyTokensWithTheCacheAreEqual) {
  int checked = 0;
  for (; golden_.has(fmt::format("greedy{}.prompt", checked)); ++checked) {
    const Tokens tokens = golden_.tokens(fmt::format("greedy{}.tokens", checked));
    const Tokens prompt = golden_.tokens(fmt::format("greedy{}.prompt", checked));
    EXPECT_EQ(tokens.size(), 32U);
    EXPECT_EQ(greedy(*model_, prompt, std::ssize(tokens)), tokens) << checked;
  }
  EXPECT_EQ(checked, 3);
  record(*model_, "32 greedy tokens", 0.0);
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

  /// Result of the whole batch at once against the reference of each sequence; the largest
  /// difference.
  double expect_agreement(const std::string& name, tensor::MatrixView result) {
    EXPECT_EQ(result.rows, 6);
    double largest = 0.0;
    for (std::int64_t i = 0; i < result.rows; ++i) {
      const auto reference = golden_.values(fmt::format("seq{}.{}", i, name));
      largest = std::max(largest, disagreement(copy(result.slice(i, 1)), reference));
      EXPECT_LE(largest, kTolerance) << name << i;
    }
    return largest;
  }

  Golden golden_{golden_model(GetParam()) / "golden.safetensors"};
  std::unique_ptr<engine::Model> model_ = load_model(golden_model(GetParam()), "fp32", 2);
  std::vector<Tokens> ids_;
  std::vector<engine::Sequence> batch_;
};

TEST_P(GoldenEncoders, HiddenStatesAgreeInARaggedBatch) {
  const tensor::MatrixView hidden = model_->encode(batch_);
  std::int64_t begin = 0;
  double largest = 0.0;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const auto reference = golden_.values(fmt::format("seq{}.hidden", i));
    const auto own = copy(hidden.slice(begin, std::ssize(ids_[i])));
    largest = std::max(largest, disagreement(own, reference));
    begin += std::ssize(ids_[i]);
  }
  EXPECT_LE(largest, kTolerance);
  EXPECT_EQ(begin, hidden.rows);
  record(*model_, "hidden states", largest);
}

TEST_P(GoldenEncoders, EmbeddingsAgree) {
  const double mean = expect_agreement("mean", model_->embed(batch_, false));
  const double normalized = expect_agreement("normalized", model_->embed(batch_, true));
  record(*model_, "embeddings", std::max(mean, normalized));
}

TEST_P(GoldenEncoders, ClassLogitsAgree) {
  if (!golden_.has("seq0.logits")) {
    EXPECT_THROW((void)model_->classify(batch_), Error);
    return;
  }
  record(*model_, "logits", expect_agreement("logits", model_->classify(batch_)));
  EXPECT_EQ(precision::compare(model_->plan(), model_->ledger()), "");
}

TEST_P(GoldenEncoders, RefuseWhatDoesNotFit) {
  const Tokens longer(static_cast<std::size_t>(model_->config().max_positions) + 1, 3);
  const engine::Sequence sequence{longer, 0};
  if (model_->config().position == models::PositionKind::learned) {
    expect_error(ErrorCode::usage, {"101 tokens", "100 positions"}, [&] {
      (void)model_->encode({&sequence, 1});
    });
  }
  const Tokens unknown{3, static_cast<TokenId>(model_->config().vocabulary)};
  const engine::Sequence outside{unknown, 0};
  expect_error(ErrorCode::bad_data, {"embeddings"}, [&] { (void)model_->encode({&outside, 1}); });
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
  for (const char* name : {"phi3", "gpt2", "gpt_oss", "modernbert_classifier"}) {
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
  for (const char* name : {"phi3", "gpt2", "qwen3", "mistral", "gemma2", "gemma3"}) {
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

/// A GGUF file of a golden model, written by the format's own package.
class GoldenGguf : public ::testing::TestWithParam<std::string> {
 protected:
  static std::filesystem::path file(const std::string& name) {
    return std::filesystem::path(ASSAY_GOLDEN_DIR) / "gguf" / (name + ".gguf");
  }
  Golden golden_{golden_model(GetParam()) / "golden.safetensors"};
  std::unique_ptr<engine::Model> original_ = load_model(golden_model(GetParam()), "fp32", 2);
  std::unique_ptr<engine::Model> model_ = load_model(file(GetParam()), "fp32", 2);
};

std::vector<std::string> gguf_names() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(ASSAY_GOLDEN_DIR) / "gguf")) {
    if (entry.path().extension() == ".gguf") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST_P(GoldenGguf, GivesTheBitsOfTheSafetensorsFile) {
  EXPECT_TRUE(model_->source().weights().notices.empty());
  EXPECT_EQ(model_->source().layers().size(), original_->source().layers().size());
  double largest = 0.0;
  for (int i = 0; i < 6; ++i) {
    const Tokens ids = golden_.tokens(fmt::format("seq{}.ids", i));
    const engine::Sequence sequence{ids, 0};
    const bool decoder = model_->config().causal;
    const auto own = decoder ? all_logits(*model_, ids) : copy(model_->encode({&sequence, 1}));
    const auto expected =
        decoder ? all_logits(*original_, ids) : copy(original_->encode({&sequence, 1}));
    EXPECT_EQ(own, expected) << i;
    const auto reference =
        golden_.values(fmt::format("seq{}.{}", i, decoder ? "logits" : "hidden"));
    largest = std::max(largest, disagreement(own, reference));
  }
  EXPECT_LE(largest, kTolerance);
  EXPECT_EQ(precision::compare(model_->plan(), model_->ledger()), "");
  record(*model_, model_->config().causal ? "logits" : "hidden states", largest);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenGguf, ::testing::ValuesIn(gguf_names()));

/// A router turns small differences into another expert, so 4 bit is judged on the last projection
/// of the experts alone.
TEST(GoldenFamilies, AMixtureRunsInEveryPrecision) {
  const Golden golden(golden_model("gpt_oss") / "golden.safetensors");
  const Tokens ids = golden.tokens("seq4.ids");
  const auto reference = golden.values("seq4.logits");
  const auto expect_runs = [&](const std::string& recipe, double allowed) {
    const auto model = load_model(golden_model("gpt_oss"), recipe, 2);
    const double error = relative_error(all_logits(*model, ids), reference);
    EXPECT_LE(error, allowed) << recipe;
    EXPECT_GT(error, 1e-5) << recipe;
    EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "") << recipe;
  };
  expect_runs("fp16", 0.05);
  expect_runs("bf16", 0.1);
  expect_runs("int8", 0.2);
  expect_runs("int8-weight-only", 0.2);
  for (const char* precision : {"nf4", "fp4", "{precision: nf4, double_quant: true}"}) {
    expect_runs(precision, 1.0);
    expect_runs(
        fmt::format("{{default: fp32, rules: [{{match: '*experts.down_proj', precision: {}}}]}}",
                    precision),
        0.3);
  }
}

/// Experts have one entry in the plan and one in the ledger, so one that no token chose is no gap.
TEST(GoldenFamilies, ExpertsAreProvedTogether) {
  const auto model = load_model(golden_model("gpt_oss"), "int8", 1);
  int mixtures = 0;
  for (const precision::PlanEntry& entry : model->plan().entries) {
    const bool expert = entry.layer.name.find(".experts.") != std::string::npos;
    const bool router = entry.layer.name.ends_with("router");
    if (expert || router) {
      EXPECT_EQ(entry.precision.name == "int8", expert) << entry.layer.name;
    }
    mixtures += expert ? 1 : 0;
  }
  EXPECT_EQ(mixtures, 2 * 3);
  (void)all_logits(*model, {3});
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
  for (const precision::Ledger::Entry& entry : model->ledger().entries()) {
    if (entry.layer.find(".experts.") == std::string::npos) continue;
    EXPECT_EQ(entry.calls, 2) << entry.layer;  // two of five chosen
    EXPECT_EQ(entry.rows_max, 1) << entry.layer;
  }
}

TEST(GoldenFamilies, ARuleCanNameExperts) {
  const auto model = load_model(golden_model("gpt_oss"),
                                "{default: bf16, rules: [{match: 're:.*experts.*down.*', "
                                "precision: nf4}]}",
                                1);
  (void)all_logits(*model, {3, 4, 5});
  EXPECT_EQ(precision::compare(model->plan(), model->ledger()), "");
  for (const precision::Ledger::Entry& entry : model->ledger().entries()) {
    const bool named = entry.layer.ends_with("experts.down_proj");
    EXPECT_EQ(entry.kernel.encoding, named ? precision::Encoding::nf4 : precision::Encoding::bf16)
        << entry.layer;
  }
}

TEST(GoldenFamilies, StandInTheTableOfTheDocumentation) {
  const std::string table =
      base::read_text(std::filesystem::path(ASSAY_SOURCE_DIR) / "docs" / "models.md");
  for (const std::string& family : models::family_names()) {
    EXPECT_NE(table.find("| " + family + " |"), std::string::npos) << family;
  }
}

}  // namespace
}  // namespace assay::testing
