#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/device_types.h"
#include "kernels/cuda/runtime.h"
#include "tensor/tensor.h"

namespace assay::kernels::cuda {

// What the C++ side of a kernel needs to launch it.

/// Throws Error for anything but success: out_of_memory, device_missing for a device that is gone,
/// internal with CUDA's own words otherwise. `doing` says what was tried.
void check(cudaError_t result, const char* doing);

/// Makes the stream's device the thread's and returns the stream.
[[nodiscard]] cudaStream_t ready(Stream& stream);
/// The error of the launch just made, if any.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

/// A floating matrix for device code; internal error for another type or memory elsewhere than on
/// the stream's device.
[[nodiscard]] DeviceMatrix on_device(const tensor::MatrixView& view, const Stream& stream);
[[nodiscard]] Element element_of(tensor::DType type);

}  // namespace assay::kernels::cuda
