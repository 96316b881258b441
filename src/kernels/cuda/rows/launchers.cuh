#pragma once

#include "kernels/cuda/rows/row_kernels.h"

// The launchers behind RowKernels, by file.

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

// norms.cu
void rms_norm(DeviceMatrix x, const float* weight, float eps, DeviceMatrix y, cudaStream_t);
void layer_norm(DeviceMatrix x, const float* weight, const float* bias, float eps, DeviceMatrix y,
                cudaStream_t);

// maps.cu
void scale(DeviceMatrix x, float factor, cudaStream_t);
void soft_cap(DeviceMatrix x, float cap, cudaStream_t);
void apply(RowFunction function, DeviceMatrix x, cudaStream_t);
void gated_product(RowFunction function, DeviceMatrix gate, DeviceMatrix up, cudaStream_t);
void clamped_swiglu(float alpha, float limit, DeviceMatrix gate, DeviceMatrix up, cudaStream_t);

// moves.cu
void add_in_place(DeviceMatrix x, DeviceMatrix y, cudaStream_t);
void add_scaled_rows(DeviceMatrix x, const std::int32_t* index, const float* factors,
                     DeviceMatrix sums, cudaStream_t);
void convert(DeviceMatrix x, DeviceMatrix y, cudaStream_t);
void gather_rows(DeviceMatrix x, const std::int32_t* index, DeviceMatrix y, cudaStream_t);
void rope(const RopeArguments&, cudaStream_t);
void append_to_cache(const CacheArguments&, cudaStream_t);

// statistics.cu
void note_non_finite(DeviceMatrix x, std::int32_t* flag, cudaStream_t);
void row_statistics(DeviceMatrix logits, std::int32_t* argmax, double* log_sum_exp, cudaStream_t);
void gather_elements(DeviceMatrix logits, const std::int32_t* rows, const std::int32_t* columns,
                     std::int64_t count, float* values, cudaStream_t);
void mean_rows(DeviceMatrix x, const SequenceData* sequences, int count, bool normalize,
               DeviceMatrix y, cudaStream_t);

// draw.cu
void draw_tokens(DeviceMatrix logits, const Draw* draws, std::int32_t* tokens, cudaStream_t);

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
