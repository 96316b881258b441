#include "kernels/cuda/linear/products.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

Entries four_bit_entries() {
  return entries_of<InF32<Nf4Codes>, OnTensorCores<MmaF16, Nf4Codes>,
                    OnTensorCores<MmaBf16, Nf4Codes>, InF32<Fp4Codes>,
                    OnTensorCores<MmaF16, Fp4Codes>, OnTensorCores<MmaBf16, Fp4Codes>>();
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
