#include "kernels/cuda/linear/products.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

Entries fp8_entries() {
  return entries_of<OnTensorCores<MmaFp8, Fp8Operands, Act::fp8_dynamic>, InF32<Fp8Codes>,
                    OnTensorCores<MmaF16, Fp8Codes>, OnTensorCores<MmaBf16, Fp8Codes>>();
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
