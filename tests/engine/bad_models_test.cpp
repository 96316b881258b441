// What is wrong with a model is said when it is opened or loaded, with file and tensor.
#include <gtest/gtest.h>

#include <limits>

#include "engine/support.h"

namespace assay::testing {
namespace {

using engine::ModelSource;

class BadModels : public ::testing::Test {
 protected:
  std::filesystem::path write() { return write_model(folder_, config_, tensors_); }

  void set(const std::string& tensor, std::size_t index, float value) {
    std::memcpy(tensors_.at(tensor).bytes.data() + index * 4, &value, 4);
  }

  ScratchFolder folder_;
  Json config_ = golden_config("llama_single_kv");  // an F32 file
  RawTensors tensors_ = read_raw(golden_model("llama_single_kv") / "model.safetensors");
};

TEST_F(BadModels, TheUnchangedModelLoads) {
  const auto model = load_model(write(), "bf16");
  EXPECT_EQ(all_logits(*model, {3}).size(), 131U);
}

TEST_F(BadModels, UnknownArchitecture) {
  config_["architectures"] = {"LlamaForQuestionAnswering"};
  const auto path = write();
  expect_error(ErrorCode::bad_data, {"config.json", "LlamaForQuestionAnswering"},
               [&] { (void)ModelSource::open(path); });
}

TEST_F(BadModels, MissingTensor) {
  tensors_.erase("model.norm.weight");
  const auto path = write();
  expect_error(ErrorCode::bad_data, {"model.safetensors", "model.norm.weight", "missing"},
               [&] { (void)ModelSource::open(path); });
}

TEST_F(BadModels, WrongShape) {
  tensors_.at("model.norm.weight").shape = {8, 5};
  const auto path = write();
  expect_error(ErrorCode::bad_data, {"model.safetensors", "model.norm.weight", "[8, 5]", "[40]"},
               [&] { (void)ModelSource::open(path); });
}

TEST_F(BadModels, MissingFiles) {
  EXPECT_THROW((void)ModelSource::open(folder_.path() / "nowhere"), Error);
  EXPECT_THROW((void)ModelSource::open(folder_.path()), Error);
}

TEST_F(BadModels, MissingTokenizerIsSaidWhenItIsAskedFor) {
  const auto source = ModelSource::open(write());
  expect_error(ErrorCode::bad_data, {"missing tokenizer"}, [&] { (void)source->tokenizer(); });
}

TEST_F(BadModels, WeightsThatAreNoNumbers) {
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    set(name, 17, value);
    const auto path = write();
    for (const char* precision : {"fp32", "fp16", "bf16", "int8", "int8-weight-only", "nf4"}) {
      expect_error(ErrorCode::numeric, {"model.safetensors", name},
                   [&] { (void)load_model(path, precision); });
    }
  }
}

TEST_F(BadModels, NormsThatAreNoNumbers) {
  set("model.layers.0.input_layernorm.weight", 3, std::numeric_limits<float>::infinity());
  const auto path = write();
  expect_error(ErrorCode::numeric, {"model.safetensors", "model.layers.0.input_layernorm.weight"},
               [&] { (void)load_model(path, "fp32"); });
}

TEST_F(BadModels, AWeightThatOverflowsFp16) {
  const std::string name = "model.layers.0.self_attn.v_proj.weight";
  set(name, 5, 70000.0F);
  const auto path = write();
  for (const char* precision : {"fp16", "int8"}) {
    expect_error(ErrorCode::numeric, {"model.safetensors", name, "fp16"},
                 [&] { (void)load_model(path, precision); });
  }
  (void)load_model(path, "bf16");
}

TEST_F(BadModels, AnActivationThatOverflowsIsNamedByItsLayer) {
  for (int i = 0; i < 104 * 40; ++i) set("model.layers.1.mlp.up_proj.weight", i, 60000.0F);
  const auto model = load_model(write(), "fp16");
  const std::string message =
      expect_error(ErrorCode::numeric, {"fp16", "model.layers.1.mlp.", "65504"}, [&] {
        (void)all_logits(*model, {5, 6, 7, 8});
      });
  EXPECT_EQ(message.find("model.layers.0"), std::string::npos);
  // The model can still be asked: nothing of the failed pass is left.
  models::KvCache cache = model->make_cache(1, 8);
  const Tokens ids{5};
  const engine::Sequence sequence{ids, 0};
  EXPECT_THROW((void)model->decode({&sequence, 1}, cache), Error);
  EXPECT_EQ(cache.length(0), 0);
}

TEST_F(BadModels, AKeyThatOverflowsIsSeenThoughSoftmaxHidesIt) {
  for (int i = 0; i < 8 * 40; ++i) set("model.layers.1.self_attn.k_proj.weight", i, 60000.0F);
  const auto model = load_model(write(), "fp16");
  expect_error(ErrorCode::numeric, {"fp16", "model.layers.1.self_attn.k_proj"}, [&] {
    (void)all_logits(*model, {5, 6, 7, 8});
  });
}

TEST_F(BadModels, ThreadsOutOfRange) {
  const auto path = write();
  for (const int threads : {-1, 100000}) {
    expect_error(ErrorCode::usage, {"threads"}, [&] { (void)load_model(path, "fp32", threads); });
  }
}

}  // namespace
}  // namespace assay::testing
