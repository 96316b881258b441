#pragma once

#include <cuda.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cuda/runtime.h"

namespace assay::kernels::cuda {

/// What the NVIDIA driver says of itself and of the visible devices, asked without a context.
struct DriverReport {
  std::string unavailable;          ///< why nothing can run; empty when something can
  std::vector<DeviceInfo> devices;  ///< that this build has code for
  /// Of the visible devices that are left out: index and why.
  std::vector<std::pair<int, std::string>> refused;
};

/// Opens libcuda.so.1 and asks. Usage error for a wrong ASSAY_CUDA_PATH.
[[nodiscard]] DriverReport ask_driver();

/// The strongest of `compiled` that runs on a device of this compute capability, or `forced` if
/// that does; pure. On false `why` says what is missing. sm90 is machine code for 9.0 alone (90a);
/// sm75 and sm80 hold PTX, which newer devices compile.
[[nodiscard]] bool choose_path(int capability, const std::vector<Path>& compiled,
                               const std::string& forced, Path* path, std::string* why);

}  // namespace assay::kernels::cuda
