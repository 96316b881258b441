#include "precision/mxfp4.h"

#include "engine/checkpoint/grouped.h"

// gpt-oss in MXFP4, as its authors published it. Only the experts' matrices are stored so:
//   NAME_blocks U8 [experts, rows, cols / 32, 16]   e2m1 codes, the first of two in the low nibble
//   NAME_scales U8 [experts, rows, cols / 32]       e8m0 exponents
// beside NAME_bias, a plain tensor. Rows are output channels, though the same parameter is stored
// as its transpose, NAME [experts, cols, rows], where nothing is quantized.
namespace assay::engine {
namespace {

using files::StoredTensor;

constexpr std::int64_t kBlock = 32;
constexpr std::int64_t kBlockBytes = 16;
constexpr std::size_t kDimensions = 4;

void read_experts(CheckpointParts& parts, const std::string& module) {
  const StoredTensor& blocks = parts.require(module + "_blocks", "U8");
  const std::vector<std::int64_t>& shape = blocks.shape;
  if (shape.size() != kDimensions || shape[3] != kBlockBytes || blocks.bytes.empty()) {
    parts.fail_tensor(blocks, "must have the shape [experts, rows, columns / 32, 16]");
  }
  const StoredTensor& scales =
      parts.require(module + "_scales", "U8", {shape[0], shape[1], shape[2]});
  StoredTensor whole;
  whole.name = module;
  whole.encoding = precision::Encoding::mxfp4;
  whole.type = "mxfp4";
  whole.shape = {shape[0], shape[1], shape[2] * kBlock};
  whole.assemble = [file = parts.shared_file(), blocks = blocks.bytes, scales = scales.bytes,
                    rows = shape[0] * shape[1], cols = shape[2] * kBlock] {
    return precision::mxfp4_from_pairs(blocks, scales, rows, cols);
  };
  parts.replace(std::move(whole), {&blocks, &scales});
}

}  // namespace

LayerPrecisions read_mxfp4(CheckpointParts& parts, const Json& /*config*/,
                           const std::string& /*source*/) {
  LayerPrecisions layers;
  for (const StoredTensor& tensor : parts.file().tensors()) {
    const std::string module = module_of(tensor.name, "_blocks");
    if (module.empty()) continue;
    read_experts(parts, module);
    layers.emplace(module, weight_only(precision::Encoding::mxfp4));
  }
  return layers;
}

}  // namespace assay::engine
