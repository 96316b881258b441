#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/scratch_folder.h"
#include "files/tensor_file.h"

// Small model files, written for a test.
namespace assay::testing {

/// A tensor as a file stores it: type name of safetensors, row-major shape, bytes.
struct RawTensor {
  std::string type = "F32";
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using RawTensors = std::map<std::string, RawTensor>;

inline RawTensor floats(std::vector<std::int64_t> shape, const std::vector<float>& values) {
  return {"F32", std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4)};
}

/// All tensors of a safetensors file, to be changed and written again.
inline RawTensors read_raw(const std::filesystem::path& file) {
  RawTensors tensors;
  const files::TensorFile opened = files::open_safetensors(file);
  for (const files::StoredTensor& t : opened.tensors()) {
    tensors[t.name] = {t.type, t.shape,
                       std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size())};
  }
  return tensors;
}

inline std::string safetensors_bytes(const RawTensors& tensors) {
  Json header = Json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.type},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + text + data;
}

/// Writes config.json and model.safetensors into the folder and returns it.
inline std::filesystem::path write_model(const ScratchFolder& folder, const Json& config,
                                         const RawTensors& tensors) {
  folder.write("config.json", config.dump());
  folder.write("model.safetensors", safetensors_bytes(tensors));
  return folder.path();
}

inline std::filesystem::path golden_model(const std::string& name) {
  return std::filesystem::path(ASSAY_GOLDEN_DIR) / "models" / name;
}
inline Json golden_config(const std::string& name) {
  return base::read_json(golden_model(name) / "config.json");
}

}  // namespace assay::testing
