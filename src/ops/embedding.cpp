#include "ops/embedding.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cuda/elementwise.h"
#include "ops/check.h"

namespace assay::ops {

void gather_rows(tensor::MatrixView x, const Indices& index, tensor::MatrixView y,
                 Context& context) {
  check_size("gather", "indices", index.host.size(), y.rows);
  if (x.cols != y.cols || x.type != y.type) {
    fail(ErrorCode::internal, "gather: {} columns of {} into {} of {}", x.cols,
         tensor::name_of(x.type), y.cols, tensor::name_of(y.type));
  }
  for (const std::int32_t i : index.host) {
    if (i < 0 || i >= x.rows) fail(ErrorCode::internal, "gather: row {} of {}", i, x.rows);
  }
  dispatch(
      x, context, [&] { kernels::cpu::gather_rows(x, index.host, y); },
      [&](CudaQueue& queue) { kernels::cuda::gather_rows(x, index.device, y, queue.stream); });
}

void add_scaled_rows(tensor::MatrixView x, std::span<const std::int32_t> index,
                     std::span<const float> factors, tensor::MatrixView sums, Context& context) {
  check_size("add scaled rows", "indices", index.size(), x.rows);
  check_size("add scaled rows", "factors", factors.size(), x.rows);
  if (on_cuda(x)) fail(ErrorCode::internal, "add scaled rows: {}", tensor::to_string(x.device));
  if (x.cols != sums.cols || sums.type != tensor::DType::f32) {
    fail(ErrorCode::internal, "add scaled rows: {} columns onto {} of {}", x.cols, sums.cols,
         tensor::name_of(sums.type));
  }
  for (const std::int32_t i : index) {
    if (i < 0 || i >= sums.rows) {
      fail(ErrorCode::internal, "add scaled rows: row {} of {}", i, sums.rows);
    }
  }
  kernels::cpu::add_scaled_rows(x, index, factors, sums, context.pool);
}

}  // namespace assay::ops
