#include "kernels/cuda/attention/tensor_cores.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

void attention_tensor_cores_bf16(const AttentionArguments&, AttentionRows, cudaStream_t);

void attention_tensor_cores(const AttentionArguments& a, AttentionRows rows, cudaStream_t stream) {
  if (a.kv == Element::f16) return choose_tensor_cores<__half>(a, rows, stream);
  attention_tensor_cores_bf16(a, rows, stream);
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
