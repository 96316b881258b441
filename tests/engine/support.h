#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/model.h"
#include "models/write_model.h"

namespace assay::testing {

using engine::TokenId;
using Tokens = std::vector<TokenId>;

/// Of fp32 logits to transformers', relative to the largest of them (CPU and devices alike).
inline constexpr double kTolerance = 1e-4;

inline precision::Recipe recipe(const std::string& text) {
  return precision::parse_recipe_argument(text).front();
}

inline std::unique_ptr<engine::Model> load_model(std::shared_ptr<const engine::ModelSource> source,
                                                 const std::string& precision, int threads = 1) {
  precision::Plan plan = engine::make_plan(*source, recipe(precision), {});
  return std::make_unique<engine::Model>(std::move(source), std::move(plan),
                                         engine::LoadOptions{.threads = threads, .progress = {}});
}
inline std::unique_ptr<engine::Model> load_model(const std::filesystem::path& path,
                                                 const std::string& precision, int threads = 1) {
  return load_model(engine::ModelSource::open(path), precision, threads);
}

/// What the reference computed: tensors of a golden.safetensors.
class Golden {
 public:
  explicit Golden(const std::filesystem::path& file) : file_(files::open_safetensors(file)) {}

  [[nodiscard]] bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  [[nodiscard]] Tokens tokens(const std::string& name) const { return read<TokenId>(name, "I32"); }
  [[nodiscard]] std::vector<float> values(const std::string& name) const {
    return read<float>(name, "F32");
  }

 private:
  template <typename T>
  [[nodiscard]] std::vector<T> read(const std::string& name, const std::string& type) const {
    const files::StoredTensor* tensor = file_.find(name);
    if (tensor == nullptr || tensor->type != type) {
      throw std::runtime_error("golden file has no " + type + " " + name);
    }
    std::vector<T> values(tensor->bytes.size() / sizeof(T));
    std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
    return values;
  }

  files::TensorFile file_;
};

/// All elements of an f32 matrix, row after row.
inline std::vector<float> copy(tensor::MatrixView m) {
  std::vector<float> values;
  for (std::int64_t r = 0; r < m.rows; ++r) {
    values.insert(values.end(), m.row<float>(r), m.row<float>(r) + m.cols);
  }
  return values;
}

/// max|a - reference| / max|reference|; infinite where sizes differ or a value is NaN.
inline double disagreement(std::span<const float> a, std::span<const float> reference) {
  if (a.size() != reference.size()) return std::numeric_limits<double>::infinity();
  double difference = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - reference[i]);
    if (std::isnan(d)) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, d);
    largest = std::max(largest, std::abs(static_cast<double>(reference[i])));
  }
  return difference / largest;
}

/// |a - reference| / |reference| in the Euclidean norm.
inline double relative_error(std::span<const float> a, std::span<const float> reference) {
  if (a.size() != reference.size()) return std::numeric_limits<double>::infinity();
  double difference = 0.0;
  double total = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - reference[i];
    difference += d * d;
    total += static_cast<double>(reference[i]) * reference[i];
  }
  return std::sqrt(difference / total);
}

/// What scripts/models_table makes a row of its table from.
inline void record_comparison(const engine::Model& model, const std::string& format,
                              const char* check, double largest) {
  ::testing::Test::RecordProperty("family", model.config().family);
  ::testing::Test::RecordProperty("architecture", model.config().architecture);
  ::testing::Test::RecordProperty("format", format);
  ::testing::Test::RecordProperty("check", check);
  ::testing::Test::RecordProperty("largest_difference", fmt::format("{:.1e}", largest));
}

/// Logits at every position of one sequence, by the path that scoring takes.
inline std::vector<float> all_logits(engine::Model& model, const Tokens& ids) {
  models::KvCache cache = model.make_cache(1, std::ssize(ids));
  std::vector<float> logits;
  model.score({ids, 0}, cache, [&](std::int64_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  });
  return logits;
}

inline Tokens greedy(engine::Model& model, const Tokens& prompt, std::int64_t count,
                     bool stop_at_eos = true) {
  return engine::generate(model, prompt, count, {.stop_at_eos = stop_at_eos});
}

/// The tokens that transformers chose for ten prompts in fp32, by a model of SmolLM2; and its
/// proof.
inline void expect_smollm2_writes_as_transformers(engine::Model& model) {
  const Golden golden(golden_model("smollm2") / "golden.safetensors");
  int checked = 0;
  for (const Json& prompt : base::read_json(golden_model("smollm2") / "prompts.json")) {
    const auto name = prompt.at("name").get<std::string>();
    if (!name.starts_with("greedy")) continue;
    const Tokens tokens = golden.tokens(name + ".tokens");
    EXPECT_EQ(greedy(model, golden.tokens(name + ".prompt"), std::ssize(tokens)), tokens) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 10);
  EXPECT_EQ(precision::compare(model.plan(), model.ledger()), "");
}

/// The path in an environment variable, else `fallback`; empty if nothing is there.
inline std::filesystem::path path_from(const char* variable,
                                       const std::filesystem::path& fallback = {}) {
  const char* value = std::getenv(variable);
  const std::filesystem::path path = value != nullptr ? std::filesystem::path(value) : fallback;
  std::error_code ignored;
  return !path.empty() && std::filesystem::exists(path, ignored) ? path : std::filesystem::path();
}
inline std::filesystem::path shared_path(const std::string& inside) {
  const char* root = std::getenv("ASSAY_SHARED");
  const std::filesystem::path base =
      root != nullptr ? root : std::filesystem::path(ASSAY_SOURCE_DIR) / ".." / "shared";
  std::error_code ignored;
  return std::filesystem::exists(base / inside, ignored) ? base / inside : std::filesystem::path();
}

}  // namespace assay::testing
