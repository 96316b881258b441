#include "kernels/cuda/linear/products.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

Entries gguf_entries() {
  return entries_of<
      InF32<Q4_0Codes>, OnTensorCores<MmaF16, Q4_0Codes>, OnTensorCores<MmaBf16, Q4_0Codes>,
      InF32<Q4_1Codes>, OnTensorCores<MmaF16, Q4_1Codes>, OnTensorCores<MmaBf16, Q4_1Codes>,
      InF32<Q8_0Codes>, OnTensorCores<MmaF16, Q8_0Codes>, OnTensorCores<MmaBf16, Q8_0Codes>>();
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
