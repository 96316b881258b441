#include <gtest/gtest.h>

#include "precision/model.h"
#include "precision/notices.h"
#include "precision/recipe.h"

namespace assay::precision {
namespace {

using tensor::DType;

Recipe config(const char* json) { return parse_recipe("bnb", Json::parse(json), "test"); }

std::string error_of(const char* json, ErrorCode code = ErrorCode::usage) {
  try {
    (void)config(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

/// What BitsAndBytesConfig(...).to_dict() of transformers 5 writes, with `changes` on top.
Json to_dict(const Json& changes) {
  Json json = Json::parse(R"({"quant_method": "bitsandbytes", "_load_in_8bit": false,
    "_load_in_4bit": false, "llm_int8_threshold": 6.0, "llm_int8_skip_modules": null,
    "llm_int8_enable_fp32_cpu_offload": false, "llm_int8_has_fp16_weight": false,
    "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": false,
    "bnb_4bit_compute_dtype": "float32", "bnb_4bit_quant_storage": "uint8",
    "load_in_4bit": false, "load_in_8bit": false})");
  json.update(changes);
  return json;
}

TEST(BnbConfig, DefaultsOfFourBit) {
  const Recipe r = config(R"({"load_in_4bit": true})");
  EXPECT_EQ(r.default_precision.name, "fp4");
  EXPECT_EQ(r.default_precision.compute, DType::f32);
  EXPECT_FALSE(r.default_precision.double_quant);
  EXPECT_FALSE(r.sixteen_bit.has_value());
  EXPECT_TRUE(r.notices.empty());
}

TEST(BnbConfig, DefaultsOfEightBit) {
  const Recipe r = config(R"({"load_in_8bit": true})");
  EXPECT_EQ(r.default_precision.name, "int8");
  EXPECT_EQ(r.default_precision.threshold, 6.0F);
  EXPECT_FALSE(r.default_precision.compute.has_value());
  EXPECT_EQ(
      config(R"({"load_in_8bit": true, "llm_int8_threshold": 0})").default_precision.threshold,
      0.0F);
}

TEST(BnbConfig, EveryKeyOfToDict) {
  const Recipe r = parse_recipe("x",
                                to_dict({{"_load_in_4bit", true},
                                         {"load_in_4bit", true},
                                         {"bnb_4bit_quant_type", "nf4"},
                                         {"bnb_4bit_use_double_quant", true},
                                         {"bnb_4bit_compute_dtype", "bfloat16"}}),
                                "test");
  EXPECT_EQ(r.default_precision.name, "nf4");
  EXPECT_TRUE(r.default_precision.double_quant);
  EXPECT_EQ(r.default_precision.compute, DType::bf16);
  for (const char* key : {"llm_int8_threshold", "bnb_4bit_quant_storage",
                          "llm_int8_enable_fp32_cpu_offload", "llm_int8_has_fp16_weight"}) {
    EXPECT_TRUE(mentions(r.notices, key)) << key;
  }
  const Recipe eight =
      parse_recipe("x", to_dict({{"_load_in_8bit", true}, {"load_in_8bit", true}}), "test");
  EXPECT_EQ(eight.default_precision.name, "int8");
  EXPECT_TRUE(mentions(eight.notices,
                       "bnb_4bit_quant_type, bnb_4bit_use_double_quant, "
                       "bnb_4bit_compute_dtype: no effect here"));
  EXPECT_FALSE(mentions(eight.notices, "llm_int8_threshold"));
}

TEST(BnbConfig, LoaderKeys) {
  const Recipe r = config(R"({"load_in_8bit": true, "torch_dtype": "torch.float16",
                              "device_map": "auto", "low_cpu_mem_usage": true})");
  EXPECT_EQ(r.sixteen_bit, DType::f16);
  EXPECT_TRUE(mentions(r.notices, "device_map: no effect here: the plan places"));
  EXPECT_TRUE(mentions(r.notices, "low_cpu_mem_usage: no effect here: weights are always mapped"));
  EXPECT_FALSE(config(R"({"load_in_8bit": true, "dtype": "auto"})").sixteen_bit.has_value());
  EXPECT_EQ(config(R"({"torch_dtype": "float16"})").default_precision.name, "fp16");
}

TEST(BnbConfig, Errors) {
  EXPECT_NE(error_of(R"({"load_in_4bit": true, "load_in_8bit": true})").find("both true"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_4bit": true, "_load_in_4bit": false})").find("differ"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_4bit": false})").find("nothing to do"), std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_4bit": "yes"})").find("true or false"), std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_4bit": true, "bnb_4bit_quant_typ": "nf4"})")
                .find("did you mean bnb_4bit_quant_type"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_4bit": true, "bnb_4bit_quant_type": "int4"})")
                .find("must be fp4 or nf4"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_4bit": true, "bnb_4bit_compute_dtype": "int8"})")
                .find("no floating type"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_8bit": true, "llm_int8_threshold": -2})").find("at least 0"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_8bit": true, "llm_int8_skip_modules": "lm_head"})")
                .find("a list of names"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"load_in_8bit": true, "dtype": "float16", "torch_dtype": "float32"})")
                .find("differs"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"quant_method": "gptq"})", ErrorCode::unsupported).find("gptq"),
            std::string::npos);
}

TEST(BnbConfig, SkipModulesKeepTheirLayers) {
  const auto model = llama(12, false);
  const Recipe r = config(
      R"({"load_in_8bit": true, "llm_int8_skip_modules": ["lm_head", "model.layers.1", "down_proj"]})");
  const Assignment a = assign(r, model, DType::bf16);
  for (std::size_t i = 0; i < model.size(); ++i) {
    const std::string& name = model[i].name;
    const bool kept = name == "lm_head" || name == "model.embed_tokens" ||
                      name.starts_with("model.layers.1.") || name.ends_with("down_proj");
    EXPECT_EQ(a.layers[i].name, kept ? "bf16" : "int8") << name;
  }
  EXPECT_TRUE(a.notices.empty());
}

TEST(BnbConfig, SkipListWithoutTheHeadIsNoticed) {
  const Recipe r = config(R"({"load_in_8bit": true, "llm_int8_skip_modules": ["o_proj"]})");
  const Assignment a = assign(r, llama(2), DType::bf16);
  EXPECT_TRUE(mentions(a.notices, "does not name 'lm_head': transformers would quantize it"));
  EXPECT_EQ(a.layers.back().name, "bf16");
  // The lookup is not a linear layer: transformers never quantizes it.
  EXPECT_FALSE(mentions(a.notices, "embed_tokens"));
}

TEST(BnbConfig, UnmatchedSkipModuleIsAWarning) {
  const Recipe r =
      config(R"({"load_in_8bit": true, "llm_int8_skip_modules": ["lm_head", "nothing"]})");
  const Assignment a = assign(r, llama(2), DType::bf16);
  ASSERT_EQ(a.notices.size(), 1U);
  EXPECT_TRUE(mentions(a.notices, "'nothing' matches no layer"));
}

TEST(BnbConfig, Fp32DtypeKeepsTheRestInFp32) {
  const Assignment a =
      assign(config(R"({"load_in_4bit": true, "dtype": "float32"})"), llama(1), DType::bf16);
  EXPECT_EQ(a.layers.front().name, "fp32");
  EXPECT_EQ(a.activations, DType::f32);
  EXPECT_EQ(a.kv, DType::f32);
}

}  // namespace
}  // namespace assay::precision
