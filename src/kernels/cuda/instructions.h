#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace assay::kernels::cuda {

/// How often an instruction for tensor cores stands in the machine code of one of our kernels.
struct TensorCoreUse {
  std::string_view kernel;       ///< mangled, as CUPTI reports it
  int architecture = 0;          ///< 90
  std::string_view instruction;  ///< "HMMA.16816.F32.BF16"; empty where the kernel has none
  std::int32_t count = 0;
};

/// Recorded from the disassembly when this build was made; empty where it had no cuobjdump, and
/// without CUDA. Code that the driver compiles from PTX is not in it.
[[nodiscard]] std::span<const TensorCoreUse> tensor_core_uses();

}  // namespace assay::kernels::cuda
