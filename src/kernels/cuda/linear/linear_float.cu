#include "kernels/cuda/linear/products.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

Entries float_entries() {
  return entries_of<InF32<F32Codes>, OnTensorCores<MmaF16, F16Operands>,
                    OnTensorCores<MmaBf16, Bf16Operands>, OnTensorCores<MmaTf32, F32Operands>>();
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
