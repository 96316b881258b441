#pragma once

#include <cstdint>

/// What the devices of fake_cuda.cpp saw.
namespace assay::kernels::cuda::fake {

extern bool forbid_allocation;  ///< while a graph is captured
extern bool spoil_logits;       ///< before tokens are drawn from them
extern std::int64_t synchronizations;
extern std::int64_t bytes_to_host;  ///< copied outside of graphs
extern std::int64_t encoded_on_device;
extern std::int64_t synthesized_on_device;

}  // namespace assay::kernels::cuda::fake
