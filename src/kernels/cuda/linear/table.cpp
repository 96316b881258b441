#include "base/error.h"
#include "kernels/cuda/linear.h"

namespace assay::kernels::cuda {

std::span<const LinearKernel> linear_kernels() { return {}; }

bool can_encode_on_device(precision::Encoding, bool) { return false; }

PackedWeight encode_on_device(tensor::MatrixView, precision::Encoding encoding, bool,
                              const LinearKernel&, Stream&) {
  fail(ErrorCode::unsupported, "{} has no encoder on CUDA devices", precision::info(encoding).name);
}

}  // namespace assay::kernels::cuda
