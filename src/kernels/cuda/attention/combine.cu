// The parts of a decode step's keys, put together in ascending order.

#include "kernels/cuda/attention/rows.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

void attention_tensor_cores(const AttentionArguments&, AttentionRows, cudaStream_t);
void attention_fma(const AttentionArguments&, AttentionRows, cudaStream_t);

namespace {

/// A block for one query (y, in the order of a sequence) and head; queries that a sequence does not
/// have are left out. The weights of the parts stand in shared memory.
template <typename T>
__global__ void __launch_bounds__(128) combine_parts(const __grid_constant__ AttentionArguments a) {
  extern __shared__ float weights[];
  const SequenceData s = a.sequences[blockIdx.z];
  const int query = static_cast<int>(blockIdx.y);
  if (query >= s.query_count) return;
  const int head = static_cast<int>(blockIdx.x);
  const std::int64_t row = s.query_begin + query;
  const std::int64_t size = a.head_dim + 2;
  const float* parts = a.partial + (row * a.heads + head) * a.parts * size;
  const int used = min(a.parts, (s.key_count + a.part_keys - 1) / a.part_keys);
  const float sink = a.sinks == nullptr ? -kInfinity : a.sinks[head];

  for (int p = threadIdx.x; p < used; p += blockDim.x) weights[p] = parts[p * size];
  __syncthreads();
  float largest = sink;
  for (int p = 0; p < used; ++p) largest = fmaxf(largest, weights[p]);
  __syncthreads();
  for (int p = threadIdx.x; p < used; p += blockDim.x) weights[p] = expf(weights[p] - largest);
  __syncthreads();
  float total = a.sinks == nullptr ? 0.0F : expf(sink - largest);
#pragma unroll 8
  for (int p = 0; p < used; ++p) total += parts[p * size + 1] * weights[p];
  for (int c = threadIdx.x; c < a.head_dim; c += blockDim.x) {
    float sum = 0.0F;
#pragma unroll 8
    for (int p = 0; p < used; ++p) sum += parts[p * size + 2 + c] * weights[p];
    T* out = static_cast<T*>(a.out.data) + row * a.out.stride;
    out[head * a.head_dim + c] = narrow<T>(total == 0.0F ? 0.0F : sum / total);
  }
}

void combine(const AttentionArguments& a, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(a.heads), static_cast<unsigned>(a.most_queries),
                  static_cast<unsigned>(a.sequence_count));
  // The loops are unrolled, and the compiler reads ahead in shared memory: whole vectors are there.
  const auto shared = static_cast<std::size_t>((a.parts + 7) / 8 * 8 + 8) * sizeof(float);
  dispatch(a.out.type, [&](auto tag) {
    combine_parts<typename decltype(tag)::type><<<grid, 128, shared, stream>>>(a);
  });
}

}  // namespace

AttentionKernels attention_kernels() { return {attention_tensor_cores, attention_fma, combine}; }

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
