#include "kernels/cuda/linear/products.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

Entries group_entries() {
  return entries_of<InF32<Int4Codes>, OnTensorCores<MmaF16, Int4Codes>,
                    OnTensorCores<MmaBf16, Int4Codes>, InF32<Uint8Codes>,
                    OnTensorCores<MmaF16, Uint8Codes>, OnTensorCores<MmaBf16, Uint8Codes>>();
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
