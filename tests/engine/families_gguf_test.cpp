// What GGUF files say of a family otherwise than config.json.
#include <gtest/gtest.h>

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
  const std::vector<float> divisors = gguf.source->config().rope_divisors;
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

}  // namespace
}  // namespace assay::testing
