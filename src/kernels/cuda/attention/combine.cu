// The parts of a decode step's keys, put together in ascending order.

#include "kernels/cuda/attention/rows.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

void attention_tensor_cores(const AttentionArguments&, AttentionRows, cudaStream_t);
void attention_fma(const AttentionArguments&, AttentionRows, cudaStream_t);

namespace {

/// A block of 128 threads for one query (y: of all rows in order) and head; rows beyond a
/// sequence's queries are left out.
template <typename T>
__global__ void __launch_bounds__(128) combine_parts(const __grid_constant__ AttentionArguments a) {
  const SequenceData s = a.sequences[blockIdx.z];
  const int query = static_cast<int>(blockIdx.y);
  if (query >= s.query_count) return;
  const int head = static_cast<int>(blockIdx.x);
  const std::int64_t row = s.query_begin + query;
  const float* parts = a.partial + (row * a.heads + head) * a.parts * (a.head_dim + 2);
  const int used = min(a.parts, (s.key_count + a.part_keys - 1) / a.part_keys);
  const auto part = [&](int p) { return parts + static_cast<std::int64_t>(p) * (a.head_dim + 2); };

  float largest = a.sinks == nullptr ? -CUDART_INF_F : a.sinks[head];
  for (int p = 0; p < used; ++p) largest = fmaxf(largest, part(p)[0]);
  float total = a.sinks == nullptr ? 0.0F : expf(a.sinks[head] - largest);
  for (int p = 0; p < used; ++p) total += part(p)[1] * expf(part(p)[0] - largest);
  for (int c = threadIdx.x; c < a.head_dim; c += blockDim.x) {
    float sum = 0.0F;
    for (int p = 0; p < used; ++p) {
      const float weight = expf(part(p)[0] - largest);
      sum += weight == 0.0F ? 0.0F : part(p)[2 + c] * weight;
    }
    T* out = static_cast<T*>(a.out.data) + row * a.out.stride;
    out[head * a.head_dim + c] = narrow<T>(total > 0.0F ? sum / total : 0.0F);
  }
}

void combine(const AttentionArguments& a, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(a.heads), static_cast<unsigned>(a.most_queries),
                  static_cast<unsigned>(a.sequence_count));
  dispatch(a.out.type, [&](auto tag) {
    combine_parts<typename decltype(tag)::type><<<grid, 128, 0, stream>>>(a);
  });
}

}  // namespace

AttentionKernels attention_kernels() { return {attention_tensor_cores, attention_fma, combine}; }

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
