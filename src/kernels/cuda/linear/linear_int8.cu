#include "kernels/cuda/linear/products.cuh"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {

Entries int8_entries() {
  return entries_of<OnTensorCores<MmaInt8, Int8Operands, Act::int8_dynamic>,
                    OnTensorCores<MmaInt8, Int8Operands, Act::int8_static>, InF32<Int8Codes>,
                    OnTensorCores<MmaF16, Int8Codes>, OnTensorCores<MmaBf16, Int8Codes>>();
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
