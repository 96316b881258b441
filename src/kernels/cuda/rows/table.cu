#include "kernels/cuda/rows/launchers.cuh"

namespace assay::kernels::cuda::ASSAY_CUDA_PATH {

RowKernels row_kernels() {
  return {
      rms_norm,        layer_norm,      scale,           soft_cap,    add_in_place,    apply,
      gated_product,   clamped_swiglu,  add_scaled_rows, convert,     gather_rows,     rope,
      append_to_cache, note_non_finite, row_statistics,  draw_tokens, gather_elements, mean_rows};
}

}  // namespace assay::kernels::cuda::ASSAY_CUDA_PATH
