#include "kernels/cuda/linear/codes.cuh"
#include "kernels/cuda/linear/entries.h"

ASSAY_CUDA_LINEAR_PATH(ASSAY_CUDA_PATH)

// Rows of a packed weight, dequantized in f32 as the reference decoder does it, then rounded once.
namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH {
namespace {

constexpr int kThreads = 128;

/// Values of a row's scale; int8 divides by 127 after it.
template <Code E>
__device__ float scaled(float value, float scale) {
  const float product = __fmul_rn(value, scale);
  return E == Code::int8 ? __fmul_rn(product, 1.0F / 127.0F) : product;
}

template <typename Codes>
__global__ void __launch_bounds__(kThreads) rows(const __grid_constant__ Lookup call) {
  constexpr int kValues = Codes::kPerChunk < 8 ? Codes::kPerChunk : 8;
  __shared__ TableStorage<Codes::kTables> storage;
  const Weight& w = call.weight;
  const Tables tables = storage.fill(w);
  if constexpr (Codes::kTables) __syncthreads();
  const int row = call.ids[blockIdx.x];
  const int chunk = blockIdx.y * kThreads + threadIdx.x;
  if (chunk * Codes::kPerChunk >= w.depth) return;
  const Chunk codes = Codes::load(w, tables, row_of<Codes>(w, row), chunk * Codes::kPerChunk);
#pragma unroll
  for (int j = 0; j < Codes::kPerChunk / kValues; ++j) {
    float v[kValues];
    Codes::values(codes, tables, j, v);
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      const int column = chunk * Codes::kPerChunk + j * kValues + i;
      if (column >= w.k) return;
      if constexpr (Codes::kColumn) {
        v[i] = scaled<Codes::kCode>(v[i], static_cast<const float*>(w.scales)[row]);
      }
      write_element(call.y, blockIdx.x, w.order == nullptr ? column : w.order[column], v[i]);
    }
  }
}

template <typename Codes, Num C>
Identity run(const Lookup& call) {
  const int chunks = call.weight.depth / Codes::kPerChunk;
  const dim3 grid(static_cast<unsigned>(call.y.rows), (chunks + kThreads - 1) / kThreads);
  rows<Codes><<<grid, kThreads, 0, static_cast<cudaStream_t>(call.stream)>>>(call);
  return kIdentity<Codes::kCode, Act::native, C>;
}

template <typename Codes, Num C = Num::f32>
constexpr LookupEntry entry() {
  return {kIdentity<Codes::kCode, Act::native, C>, run<Codes, C>};
}

}  // namespace

LookupEntries lookup_entries() {
  static constexpr LookupEntry kEntries[] = {
      entry<F32Codes>(),  entry<F16Codes, Num::f16>(), entry<Bf16Codes, Num::bf16>(),
      entry<Int8Codes>(), entry<Nf4Codes>(),           entry<Fp4Codes>(),
      entry<Q4_0Codes>(), entry<Q4_1Codes>(),          entry<Q8_0Codes>(),
      entry<Int4Codes>(), entry<Uint8Codes>(),         entry<Fp8Codes>()};
  return {kEntries, static_cast<int>(sizeof(kEntries) / sizeof(kEntries[0]))};
}

}  // namespace assay::kernels::cuda::linear::ASSAY_CUDA_PATH
