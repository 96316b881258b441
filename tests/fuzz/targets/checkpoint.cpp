// Checkpoints with quantized layers: a safetensors file whose metadata hold, as a text, the
// quantization_config that stands in a config.json.
#include "engine/checkpoint/checkpoint.h"

#include "files/file_bytes.h"
#include "files/safetensors.h"
#include "fuzz/target.h"
#include "fuzz/use_tensors.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  const auto file = std::make_shared<const files::TensorFile>(
      files::read_safetensors(testing::raw_file(input, "file")));
  const Json text =
      file->metadata().value(Json::json_pointer("/__metadata__/quantization_config"), Json());
  if (!text.is_string()) {
    fail(ErrorCode::bad_data, "the metadata hold no quantization_config");
  }
  const Json config = base::parse_json(text.get<std::string>(), "config.json");
  try {
    const engine::QuantizedCheckpoint whole = engine::open_quantized(file, config, "config.json");
    static_cast<void>(use_tensors(*whole.tensors));
  } catch (const Error& error) {
    // What is sound but not read is no fault of the file's.
    if (error.code() != ErrorCode::unsupported) throw;
    fail(ErrorCode::bad_data, "{}", error.what());
  }
}

const Target kCheckpoint = {"checkpoint", run};

}  // namespace assay::fuzz
