// The same for bf16, in a file of its own for the time it takes to compile. sm75 has no such tensor
// cores: nothing is launched there, and attention() does not ask for it.

#include "kernels/cuda/attention/tensor_cores.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

void attention_tensor_cores_bf16(const AttentionArguments& a, AttentionRows rows,
                                 cudaStream_t stream) {
#if ASSAY_CUDA_PATH_NUMBER >= 80
  choose_tensor_cores<__nv_bfloat16>(a, rows, stream);
#else
  (void)a, (void)rows, (void)stream;
#endif
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
