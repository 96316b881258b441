#include "engine/checkpoint/checkpoint.h"

#include "base/names.h"
#include "engine/checkpoint/parts.h"

namespace assay::engine {
namespace {

/// One way in which checkpoints are quantized, by its `quant_method`.
struct Method {
  std::string_view quant_method;
  std::string_view name;
  LayerPrecisions (*read)(CheckpointParts& parts, const Json& config, const std::string& source);
};

constexpr Method kMethods[] = {
    {"bitsandbytes", "bnb", read_bitsandbytes},
    {"gptq", "gptq", read_gptq},
    {"awq", "awq", read_awq},
    {"compressed-tensors", "compressed-tensors", read_compressed_tensors},
    {"mxfp4", "gpt-oss", read_mxfp4}};

/// transformers takes a config without `quant_method` for bitsandbytes where it has its keys.
std::string method_name(const Json& config, const std::string& source) {
  if (!config.is_object()) fail(ErrorCode::bad_data, "{}: must be an object", source);
  const auto found = config.find("quant_method");
  if (found == config.end() || found->is_null()) {
    if (config.contains("load_in_4bit") || config.contains("load_in_8bit")) return "bitsandbytes";
    fail(ErrorCode::bad_data, "{}: 'quant_method' is missing", source);
  }
  if (!found->is_string()) fail(ErrorCode::bad_data, "{}: 'quant_method' must be a text", source);
  return found->get<std::string>();
}

const Method& method_of(const std::string& name, const std::string& source) {
  std::string known;
  for (const Method& method : kMethods) {
    if (method.quant_method == name) return method;
    known += (known.empty() ? "" : ", ") + std::string(method.quant_method);
  }
  fail(ErrorCode::unsupported,
       "{}: quant_method \"{}\" is not read here; read are {}; use the unquantized model with a "
       "recipe, or a GGUF file",
       source, base::printable(name), known);
}

}  // namespace

QuantizedCheckpoint open_quantized(std::shared_ptr<const files::TensorFile> file,
                                   const Json& quantization, const std::string& source) {
  const std::string where = source + ": 'quantization_config'";
  const Method& method = method_of(method_name(quantization, where), where);
  CheckpointParts parts(std::move(file));
  QuantizedCheckpoint result;
  result.method = method.name;
  result.layers = method.read(parts, quantization, where);
  if (parts.replaced() == 0) {
    fail(ErrorCode::bad_data, "{}: says {}, but {} holds no layer stored so", where,
         method.quant_method, parts.file().path().string());
  }
  result.tensors = parts.finish();
  return result;
}

}  // namespace assay::engine
