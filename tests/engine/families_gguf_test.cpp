// What GGUF files say of a family otherwise than config.json.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "engine/encode_weight.h"
#include "engine/gguf_model.h"

namespace assay::testing {
namespace {

using precision::Encoding;

Tokens some_tokens() {
  Tokens tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back(2 + i * 7 % 90);
  return tokens;
}

std::string with_rope_freqs(const GgufModel& gguf, std::vector<float> divisors) {
  GgufWriter file = gguf.header();
  const std::int64_t count = std::ssize(divisors);
  file.tensor("rope_freqs.weight", 0, precision::info(Encoding::f32).encode(divisors, 1, count));
  return gguf.bytes(std::move(file));
}

TEST(GgufFamilies, Llama3ScalingIsATensor) {
  const GgufModel gguf = GgufModel::golden("llama_rope3");
  const std::vector<float> divisors = gguf.source->config().rope.divisors;
  ASSERT_EQ(divisors.size(), 8U);
  EXPECT_EQ(divisors.front(), 1.0F);
  EXPECT_EQ(divisors.back(), 8.0F);
  const ScratchFolder folder;
  const auto scaled = load_model(folder.write("a.gguf", with_rope_freqs(gguf, divisors)), "fp32");
  const auto plain = load_model(folder.write("b.gguf", gguf.bytes()), "fp32");
  const auto expected = all_logits(*load_model(gguf.source, "fp32"), some_tokens());
  EXPECT_EQ(all_logits(*scaled, some_tokens()), expected);
  EXPECT_TRUE(scaled->source().weights().notices.empty());
  EXPECT_GT(relative_error(all_logits(*plain, some_tokens()), expected), 1e-3);
}

TEST(GgufFamilies, ABadScalingTensorIsNamed) {
  const GgufModel gguf = GgufModel::golden("llama_rope3");
  const ScratchFolder folder;
  const auto refused = [&](std::vector<float> divisors, const std::string& message) {
    const auto path = folder.write("bad.gguf", with_rope_freqs(gguf, std::move(divisors)));
    expect_error(ErrorCode::bad_data, {"bad.gguf", "rope_freqs.weight", message},
                 [&] { (void)engine::ModelSource::open(path); });
  };
  refused(std::vector<float>(7, 1.0F), "8 values");
  refused(std::vector<float>(8, 0.0F), "divisor 0");
}

TEST(GgufFamilies, AMistralsWindowIsHeeded) {
  const GgufModel gguf = GgufModel::golden("mistral");
  GgufWriter file = gguf.header();
  file.integer("llama.attention.sliding_window", 29);
  const ScratchFolder folder;
  const auto model = load_model(folder.write("m.gguf", gguf.bytes(std::move(file))), "fp32");
  EXPECT_EQ(all_logits(*model, some_tokens()),
            all_logits(*load_model(gguf.source, "fp32"), some_tokens()));
}

TEST(StoredRows, AreTakenOneAfterAnotherOrByTurns) {
  std::vector<float> values;
  for (int r = 0; r < 7; ++r) values.insert(values.end(), 32, static_cast<float>(r + 1));
  for (const Encoding encoding : {Encoding::f32, Encoding::bf16, Encoding::q8_0}) {
    const auto stored = precision::info(encoding).encode(values, 7, 32);
    const auto first_of = [&](std::int64_t first, std::int64_t count, std::int64_t step) {
      const auto rows = engine::slice_rows(stored, first, count, step);
      std::vector<float> result;
      for (std::int64_t r = 0; r < rows.rows; ++r) {
        std::vector<float> row(32);
        precision::info(encoding).decode_row(rows, r, row);
        result.push_back(std::round(row.front()));
      }
      return result;
    };
    EXPECT_EQ(first_of(2, 3, 1), (std::vector<float>{3, 4, 5}));
    EXPECT_EQ(first_of(0, 4, 2), (std::vector<float>{1, 3, 5, 7}));
    EXPECT_EQ(first_of(1, 3, 2), (std::vector<float>{2, 4, 6}));
    EXPECT_THROW((void)engine::slice_rows(stored, 1, 4, 2), Error);
    EXPECT_THROW((void)engine::slice_rows(stored, 0, 8), Error);
    EXPECT_THROW((void)engine::slice_rows(stored, -1, 2), Error);
  }
}

TEST(GgufFamilies, LinearScalingHasAnOldAndANewKey) {
  const GgufModel gguf = GgufModel::golden("llama_linear");
  const ScratchFolder folder;
  GgufWriter old = gguf.header();
  old.number("llama.rope.scale_linear", 2.5F);
  GgufWriter current = gguf.header();
  current.text("llama.rope.scaling.type", "linear");
  current.number("llama.rope.scaling.factor", 2.5F);
  const auto expected = all_logits(*load_model(gguf.source, "fp32"), some_tokens());
  for (const GgufWriter& file : std::array{old, current}) {
    const auto model = load_model(folder.write("l.gguf", gguf.bytes(file)), "fp32");
    EXPECT_EQ(all_logits(*model, some_tokens()), expected);
  }
}

/// Keys of other architectures that would change the arithmetic.
TEST(GgufFamilies, ForeignKeysAreRefused) {
  const GgufModel gguf = GgufModel::golden("mistral");
  const ScratchFolder folder;
  for (const char* name : {"attn_logit_softcapping", "final_logit_softcapping", "logit_scale",
                           "residual_scale", "embedding_scale", "attention.max_alibi_bias",
                           "attention.clamp_kqv", "rope.scaling.yarn_ext_factor"}) {
    const std::string key = std::string("llama.") + name;
    GgufWriter file = gguf.header();
    file.number(key, 7.0F);
    const auto path = folder.write("bad.gguf", gguf.bytes(std::move(file)));
    expect_error(ErrorCode::bad_data, {"bad.gguf", key, "not implemented"},
                 [&] { (void)engine::ModelSource::open(path); });
  }
}

}  // namespace
}  // namespace assay::testing
