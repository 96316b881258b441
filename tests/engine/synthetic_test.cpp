// Synthetic models: their shapes, that memory and files hold the same numbers, and that their
// activations are what they promise.
#include "engine/synthetic.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/scratch_folder.h"
#include "engine/support.h"
#include "files/safetensors_writer.h"
#include "models/synthetic.h"

namespace assay::testing {
namespace {

TEST(Synthetic, TextsAreReadInAnyOrder) {
  const auto model = engine::parse_synthetic("synthetic:mistral-7b:outliers:seed=12");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->like, "mistral-7b");
  EXPECT_EQ(model->seed, 12U);
  EXPECT_TRUE(model->outliers);
  EXPECT_EQ(engine::to_string(*model), "synthetic:mistral-7b:seed=12:outliers");
  EXPECT_EQ(engine::find_model("synthetic:mistral-7b"), "synthetic:mistral-7b:seed=1");
  EXPECT_FALSE(engine::parse_synthetic("/models/synthetic"));
}

TEST(Synthetic, WrongTextsAreNamed) {
  const auto refused = [](const std::string& text, const std::string& word) {
    expect_error(ErrorCode::usage, {word}, [&] { (void)engine::ModelSource::open(text); });
  };
  refused("synthetic:llama-3-9b", "did you mean llama-3-8b");
  refused("synthetic:", "known are tinyllama-1.1b");
  refused("synthetic:llama-3-8b:seed=x", "'seed=' takes a whole number, not 'x'");
  refused("synthetic:llama-3-8b:seed=-1", "not '-1'");
  refused("synthetic:llama-3-8b:outlier", "'outlier' is neither");
}

// Parameters as the models' own pages count them (distilbert-base with a head of two classes).
TEST(Synthetic, ShapesAreThoseOfThePublishedModels) {
  const std::map<std::string, std::int64_t> published = {{"tinyllama-1.1b", 1'100'048'384},
                                                         {"llama-3-8b", 8'030'261'248},
                                                         {"mistral-7b", 7'241'732'096},
                                                         {"llama-20b", 19'861'149'696},
                                                         {"distilbert-base", 66'955'010}};
  ASSERT_EQ(models::synthetic_names().size(), published.size());
  for (const auto& [name, parameters] : published) {
    const auto source = engine::ModelSource::open("synthetic:" + name);
    EXPECT_EQ(source->parameters(), parameters) << name;
    EXPECT_EQ(source->source_name(), "bf16 (synthetic)");
    EXPECT_TRUE(source->weights().notices.empty()) << name;
    const Json bytes = source->bytes_by_encoding();
    EXPECT_EQ(bytes["bf16"].get<std::int64_t>(), 2 * parameters);
  }
}

TEST(Synthetic, KeysTellSeedsAndOutliersApart) {
  const std::string one = engine::content_hash("synthetic:llama-3-8b");
  EXPECT_EQ(one, engine::content_hash("synthetic:llama-3-8b:seed=1"));
  EXPECT_NE(one, engine::content_hash("synthetic:llama-3-8b:seed=2"));
  EXPECT_NE(one, engine::content_hash("synthetic:llama-3-8b:outliers"));
  EXPECT_NE(one, engine::content_hash("synthetic:mistral-7b"));
}

TEST(Synthetic, HasNoTokenizer) {
  const auto source = engine::ModelSource::open("synthetic:distilbert-base");
  expect_error(ErrorCode::unsupported, {"has no tokenizer", "random tokens"},
               [&] { (void)source->tokenizer(); });
}

/// Writes the model in shards and opens it again.
TEST(Synthetic, FilesHoldWhatMemoryHolds) {
  const ScratchFolder scratch;
  const auto folder = scratch.path() / "model";
  const engine::SyntheticModel model{.like = "distilbert-base", .seed = 5, .outliers = true};
  const auto written = engine::write_synthetic(model, folder, {}, 50'000'000);
  EXPECT_EQ(written.bytes, 2 * 66'955'010);
  EXPECT_GT(written.files, 2);
  const auto made = engine::ModelSource::open(engine::to_string(model));
  const auto read = engine::ModelSource::open(folder);
  EXPECT_EQ(read->source_name(), "bf16 (synthetic)");
  EXPECT_EQ(read->parameters(), made->parameters());
  ASSERT_EQ(read->tensors().tensors().size(), made->tensors().tensors().size());
  for (const auto& tensor : made->tensors().tensors()) {
    const auto* stored = read->tensors().find(tensor.name);
    ASSERT_NE(stored, nullptr) << tensor.name;
    ASSERT_EQ(stored->shape, tensor.shape) << tensor.name;
    const precision::EncodedTensor weight = made->tensors().encoded(tensor);
    ASSERT_LE(stored->bytes.size(), weight.codes.bytes.size());
    EXPECT_EQ(std::memcmp(stored->bytes.data(), weight.codes.bytes.data(), stored->bytes.size()), 0)
        << tensor.name;
  }
  expect_error(ErrorCode::usage, {"is not empty"},
               [&] { (void)engine::write_synthetic(model, folder, {}); });
}

/// A folder with the tensors that a synthetic model of this config would have.
std::filesystem::path small_model(const ScratchFolder& scratch, Json config, bool outliers) {
  const auto tensors =
      models::synthetic_tensors(models::config_from_json(config, "small"), 7, outliers);
  std::vector<files::TensorHeader> headers;
  for (const auto& t : tensors) {
    headers.push_back(
        {t.name, "BF16",
         t.vector ? std::vector<std::int64_t>{t.cols} : std::vector<std::int64_t>{t.rows, t.cols}});
  }
  const auto folder = scratch.path() / (outliers ? "outliers" : "plain");
  std::filesystem::create_directories(folder);
  files::SafetensorsWriter writer(folder / "model.safetensors", headers, {});
  for (const auto& t : tensors) {
    const auto bytes = static_cast<std::size_t>(2 * t.rows * t.cols);
    writer.write(t.name, precision::generate(t).codes.bytes.first(bytes));
  }
  writer.commit();
  scratch.write(folder.filename().string() + "/config.json", config.dump());
  return folder;
}

/// As wide as a real one: what is no outlier comes nearer to 6 in narrow models, whose weights are
/// larger.
Json shallow_decoder() {
  Json config = models::synthetic_config("tinyllama-1.1b");
  config.update({{"intermediate_size", 2048}, {"num_hidden_layers", 3}, {"vocab_size", 1000}});
  return config;
}

Tokens some_tokens(std::int64_t count) {
  Tokens tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>(i * 37 % 1000));
  return tokens;
}

/// Outlier columns a call of every int8 layer, smallest and largest.
std::pair<double, double> outlier_columns(engine::Model& model) {
  double least = 1e9;
  double most = 0;
  for (const auto& entry : model.ledger().entries()) {
    if (entry.kernel.activation != precision::Activation::int8_dynamic) continue;
    const double each =
        static_cast<double>(entry.outlier_columns) / static_cast<double>(entry.calls);
    least = std::min(least, each);
    most = std::max(most, each);
  }
  return {least, most};
}

TEST(Synthetic, DecodersCarryEightOutlierColumnsIntoEveryLayer) {
  const ScratchFolder scratch;
  const auto with = load_model(small_model(scratch, shallow_decoder(), true), "int8", 2);
  (void)all_logits(*with, some_tokens(96));
  EXPECT_EQ(outlier_columns(*with), std::pair(8.0, 8.0));
  // And into those of a single token.
  with->ledger().clear();
  models::KvCache cache = with->make_cache(1, 4);
  const Tokens one = {17};
  const models::Sequence sequence{one, 0};
  (void)with->decode({&sequence, 1}, cache);
  EXPECT_EQ(outlier_columns(*with), std::pair(8.0, 8.0));

  const auto without = load_model(small_model(scratch, shallow_decoder(), false), "int8", 2);
  (void)all_logits(*without, some_tokens(96));
  EXPECT_EQ(outlier_columns(*without), std::pair(0.0, 0.0));
}

TEST(Synthetic, EncodersCarryEightOutlierColumnsIntoEveryLayer) {
  const Tokens tokens = some_tokens(64);
  const models::Sequence sequence{tokens, 0};
  const auto with = load_model("synthetic:distilbert-base:seed=7:outliers", "int8", 2);
  (void)with->classify({&sequence, 1});
  EXPECT_EQ(outlier_columns(*with), std::pair(8.0, 8.0));
  const auto without = load_model("synthetic:distilbert-base:seed=7", "int8", 2);
  (void)without->classify({&sequence, 1});
  EXPECT_EQ(outlier_columns(*without), std::pair(0.0, 0.0));
}

TEST(Synthetic, LogitsAreFiniteAndOfOrdinarySize) {
  const ScratchFolder scratch;
  for (const bool outliers : {false, true}) {
    const auto model = load_model(small_model(scratch, shallow_decoder(), outliers), "fp32", 2);
    double squares = 0;
    const std::vector<float> logits = all_logits(*model, some_tokens(32));
    for (const float value : logits) squares += double{value} * value;
    const double rms = std::sqrt(squares / static_cast<double>(logits.size()));
    EXPECT_GT(rms, 0.3) << outliers;
    EXPECT_LT(rms, 5.0) << outliers;
  }
}

}  // namespace
}  // namespace assay::testing
