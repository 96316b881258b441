// Quantized checkpoints whose parts do not fit each other: one line of error, naming the tensor.
#include <gtest/gtest.h>

#include <functional>

#include "engine/support.h"

namespace assay::testing {
namespace {

const std::string kLayer = "model.layers.0.mlp.up_proj";

struct Change {
  std::string model;
  std::string what;
  ErrorCode code;
  std::vector<std::string> parts;
  std::function<void(Json& config, RawTensors& tensors)> apply;
};
std::ostream& operator<<(std::ostream& out, const Change& c) {
  return out << c.model << ": " << c.what;
}

const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"bnb_nf4",
       "no absmax",
       ErrorCode::bad_data,
       {kLayer + ".weight.absmax", "missing"},
       [](Json&, RawTensors& t) { t.erase(kLayer + ".weight.absmax"); }},
      {"bnb_nf4",
       "another table",
       ErrorCode::unsupported,
       {"quant_map", "standard table"},
       [](Json&, RawTensors& t) { t[kLayer + ".weight.quant_map"].bytes[5] ^= 1; }},
      {"bnb_nf4",
       "state of another block size",
       ErrorCode::unsupported,
       {"blocksize", "128"},
       [](Json&, RawTensors& t) {
         auto& state = t[kLayer + ".weight.quant_state.bitsandbytes__nf4"];
         const std::string text =
             R"({"quant_type": "nf4", "blocksize": 128, "dtype": "float32", "shape": [320, 64]})";
         state = {"U8", {std::ssize(text)}, text};
       }},
      {"bnb_nf4",
       "state that is no JSON",
       ErrorCode::bad_data,
       {"quant_state"},
       [](Json&, RawTensors& t) {
         t[kLayer + ".weight.quant_state.bitsandbytes__nf4"] = {"U8", {2}, "{{"};
       }},
      {"bnb_nf4",
       "state of a huge shape",
       ErrorCode::bad_data,
       {"cannot have the shape"},
       [](Json&, RawTensors& t) {
         const std::string text =
             R"({"blocksize": 64, "shape": [4611686018427387904, 4611686018427387904]})";
         t[kLayer + ".weight.quant_state.bitsandbytes__nf4"] = {"U8", {std::ssize(text)}, text};
       }},
      {"bnb_nf4",
       "codes without a state",
       ErrorCode::bad_data,
       {kLayer + ".weight", "missing"},
       [](Json&, RawTensors& t) { t.erase(kLayer + ".weight.quant_state.bitsandbytes__nf4"); }},
      {"bnb_nf4",
       "a config of int8",
       ErrorCode::bad_data,
       {"nf4", "int8"},
       [](Json& config, RawTensors&) {
         config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}};
       }},
      {"bnb_nf4",
       "an unknown key",
       ErrorCode::bad_data,
       {"load_in_2bit"},
       [](Json& config, RawTensors&) { config["quantization_config"]["load_in_2bit"] = true; }},
      {"bnb_nf4",
       "a method that is not read",
       ErrorCode::unsupported,
       {"quant_method", "hqq"},
       [](Json& config, RawTensors&) { config["quantization_config"]["quant_method"] = "hqq"; }},
      {"bnb_nf4",
       "no method",
       ErrorCode::bad_data,
       {"quant_method", "missing"},
       [](Json& config, RawTensors&) { config["quantization_config"] = Json::object(); }},
      {"bnb_int8",
       "no scales",
       ErrorCode::bad_data,
       {kLayer + ".weight", "missing"},
       [](Json&, RawTensors& t) { t.erase(kLayer + ".SCB"); }},
      {"bnb_int8",
       "columns tiled",
       ErrorCode::unsupported,
       {"weight_format", "row-major"},
       [](Json&, RawTensors& t) { t[kLayer + ".weight_format"].bytes[0] = 1; }},
      {"gptq_act_order",
       "3 bits",
       ErrorCode::unsupported,
       {"'bits' is 3"},
       [](Json& config, RawTensors&) { config["quantization_config"]["bits"] = 3; }},
      {"gptq_act_order",
       "marlin",
       ErrorCode::unsupported,
       {"checkpoint_format", "marlin"},
       [](Json& config, RawTensors&) {
         config["quantization_config"]["checkpoint_format"] = "marlin";
       }},
      {"gptq_act_order",
       "other groups",
       ErrorCode::bad_data,
       {"scales", "must have"},
       [](Json& config, RawTensors&) { config["quantization_config"]["group_size"] = 32; }},
      {"gptq_act_order",
       "an order that fills no groups",
       ErrorCode::unsupported,
       {"g_idx"},
       [](Json&, RawTensors& t) {
         std::string& order = t["model.layers.1.mlp.down_proj.g_idx"].bytes;
         order.assign(order.size(), '\0');
       }},
      {"gptq_act_order",
       "a group out of range",
       ErrorCode::unsupported,
       {"g_idx"},
       [](Json&, RawTensors& t) { t[kLayer + ".g_idx"].bytes[3] = '\x7f'; }},
      {"awq_gemm",
       "gemv",
       ErrorCode::unsupported,
       {"version", "gemv"},
       [](Json& config, RawTensors&) { config["quantization_config"]["version"] = "gemv"; }},
      {"awq_gemm",
       "no zeros",
       ErrorCode::bad_data,
       {"qzeros", "missing"},
       [](Json&, RawTensors& t) { t.erase(kLayer + ".qzeros"); }},
      {"ct_w8a8",
       "static activations",
       ErrorCode::unsupported,
       {"input_activations"},
       [](Json& config, RawTensors&) {
         config["quantization_config"]["config_groups"]["group_0"]["input_activations"]["dynamic"] =
             false;
       }},
      {"ct_w8a8",
       "a quantized cache",
       ErrorCode::unsupported,
       {"kv_cache_scheme"},
       [](Json& config, RawTensors&) {
         config["quantization_config"]["kv_cache_scheme"] = {{"num_bits", 8}};
       }},
      {"ct_int4",
       "a wrong shape",
       ErrorCode::bad_data,
       {"weight_packed", "4 or 8 bits"},
       [](Json&, RawTensors& t) { t[kLayer + ".weight_shape"].bytes[8] = 96; }},
      {"ct_int4",
       "scales of other rows",
       ErrorCode::bad_data,
       {"weight_scale", "does not fit"},
       [](Json&, RawTensors& t) {
         t[kLayer + ".weight_scale"] = {"BF16", {3, 1}, std::string(6, '\1')};
       }},
  };
  return all;
}

class BadCheckpoint : public ::testing::TestWithParam<Change> {};

TEST_P(BadCheckpoint, IsOneLineThatNamesTheTensor) {
  const Change& change = GetParam();
  Json config = golden_config(change.model);
  RawTensors tensors = read_raw(golden_model(change.model) / "model.safetensors");
  change.apply(config, tensors);
  const ScratchFolder folder;
  const auto path = write_model(folder, config, tensors);
  const std::string message = expect_error(change.code, {change.parts.front()},
                                           [&] { (void)engine::ModelSource::open(path); });
  for (const std::string& part : change.parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "no '" << part << "' in: " << message;
  }
}

INSTANTIATE_TEST_SUITE_P(Quantized, BadCheckpoint, ::testing::ValuesIn(changes()));

TEST(QuantizedCheckpoint, FP8ThatIsNaNNamesTheLayer) {
  RawTensors tensors = read_raw(golden_model("ct_fp8") / "model.safetensors");
  tensors[kLayer + ".weight"].bytes[70] = '\x7f';
  const ScratchFolder folder;
  const auto path = write_model(folder, golden_config("ct_fp8"), tensors);
  expect_error(ErrorCode::numeric, {kLayer, "row 1, column 6"},
               [&] { (void)load_model(path, "stored"); });
}

}  // namespace
}  // namespace assay::testing
