#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/source.h"
#include "kernels/cuda/runtime.h"
#include "precision/plan.h"

namespace assay::engine {

using kernels::cuda::DeviceInfo;

/// What a text names: the CPU; one CUDA device; or `auto`, all of them and then the CPU.
struct DeviceChoice {
  bool automatic = false;
  tensor::Device device;  ///< of `auto` the first that is there
};
/// Devices are those of `there`, "cuda" is the first of them. device_missing where it is not there,
/// with the reason that `missing` gives or the number of devices that are; usage error for
/// nonsense.
[[nodiscard]] DeviceChoice choose_device(const std::string& text,
                                         const std::vector<DeviceInfo>& there,
                                         const std::string& missing);
[[nodiscard]] bool names_cuda(const std::string& text);

/// Bytes of the parts of a model as they will lie in memory.
struct PartBytes {
  std::int64_t before = 0;           ///< embeddings
  std::vector<std::int64_t> blocks;  ///< with their share of the cache
  std::int64_t behind = 0;           ///< the head, where it is not tied
};

/// Fills `budgets` (bytes for each device) with blocks in order, what comes before the blocks with
/// the first and what comes behind with the last; the rest goes to the CPU. Pure.
[[nodiscard]] std::vector<tensor::Device> place_blocks(const PartBytes& bytes,
                                                       const std::vector<std::int64_t>& budgets);

/// Bytes of one layer in memory, experts all, as its encoding has them; a tied one 0.
[[nodiscard]] std::int64_t layer_bytes(const precision::LayerInfo& layer,
                                       const precision::Precision& precision,
                                       std::int64_t experts = 1);

/// What `auto` may put on a device: nine tenths of its memory without what a context and scratch
/// memory take, or ASSAY_GPU_MEMORY (GiB, a usage error if it is no number).
[[nodiscard]] std::int64_t memory_budget(const DeviceInfo& device);

}  // namespace assay::engine
