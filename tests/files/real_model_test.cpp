#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "files/tensor_file.h"

// Names, places and values as gguf-py and the safetensors package read them from the same files.

namespace assay::files {
namespace {

std::filesystem::path from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
}

std::map<std::string, int> count_types(const TensorFile& file) {
  std::map<std::string, int> counts;
  for (const StoredTensor& tensor : file.tensors()) ++counts[tensor.type];
  return counts;
}

TEST(RealModel, SmolLm2) {
  const auto path = from_environment("ASSAY_SMOLLM2");
  if (path.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 does not name SmolLM2's .gguf file";
  const TensorFile file = open_tensor_file(path);
  EXPECT_EQ(file.format(), "gguf");
  EXPECT_EQ(count_types(file),
            (std::map<std::string, int>{{"F32", 61}, {"Q4_1", 210}, {"Q8_0", 1}}));

  const StoredTensor& first = file.tensors().front();
  EXPECT_EQ(first.name, "token_embd.weight");
  EXPECT_EQ(first.shape, (std::vector<std::int64_t>{49152, 576}));
  EXPECT_EQ(first.offset, 1785664U);
  EXPECT_EQ(first.bytes.size(), 30081024U);
  const StoredTensor* down = file.find("blk.29.ffn_down.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->shape, (std::vector<std::int64_t>{576, 1536}));
  EXPECT_EQ(down->offset, 80630848U);
  EXPECT_EQ(down->bytes[0], std::byte{226});
  const auto norm = file.encoded(*file.find("output_norm.weight"));
  std::vector<float> values(576);
  precision::info(norm.encoding).decode_row(norm, 0, values);
  EXPECT_EQ(values[0], 1.7578125F);
  EXPECT_EQ(values[2], 1.78125F);

  const Json& metadata = file.metadata();
  EXPECT_EQ(metadata["general.architecture"], "llama");
  EXPECT_EQ(metadata["llama.rope.freq_base"], 100000.0);
  EXPECT_EQ(metadata["llama.attention.layer_norm_rms_epsilon"], 1e-5F);
  EXPECT_EQ(metadata["tokenizer.ggml.add_bos_token"], false);
  const Json& tokens = metadata["tokenizer.ggml.tokens"];
  ASSERT_EQ(tokens.size(), 49152U);
  EXPECT_EQ(tokens[0], "<|endoftext|>");
  EXPECT_EQ(tokens[49151], "ectable");
  const Json& merges = metadata["tokenizer.ggml.merges"];
  ASSERT_EQ(merges.size(), 48900U);
  EXPECT_EQ(merges[0], "\xc4\xa0 t");
}

TEST(RealModel, MiniLm) {
  const auto folder = from_environment("ASSAY_MINILM");
  if (folder.empty()) GTEST_SKIP() << "ASSAY_MINILM does not name MiniLM's folder";
  const ModelFiles files = locate_model(folder);
  EXPECT_EQ(files.weights, folder / "model.safetensors");
  EXPECT_FALSE(files.tokenizer.empty());
  EXPECT_FALSE(files.vocab.empty());
  const TensorFile file = open_tensor_file(files.weights);
  EXPECT_EQ(file.format(), "safetensors");
  EXPECT_EQ(count_types(file), (std::map<std::string, int>{{"F32", 103}, {"I64", 1}}));
  EXPECT_EQ(file.metadata()["__metadata__"]["format"], "pt");
  const StoredTensor* words = file.find("embeddings.word_embeddings.weight");
  ASSERT_NE(words, nullptr);
  EXPECT_EQ(words->shape, (std::vector<std::int64_t>{30522, 384}));
  EXPECT_EQ(words->offset, 8U + 11408U + 796672U);
  EXPECT_FALSE(file.find("embeddings.position_ids")->is_weight);
}

}  // namespace
}  // namespace assay::files
