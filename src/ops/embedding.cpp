#include "ops/embedding.h"

#include "ops/check.h"

namespace assay::ops {

void gather_rows(tensor::MatrixView x, std::span<const std::int32_t> index, tensor::MatrixView y) {
  check_size("gather", "indices", index.size(), y.rows);
  if (x.cols != y.cols || x.type != y.type) {
    fail(ErrorCode::internal, "gather: {} columns of {} into {} of {}", x.cols,
         tensor::name_of(x.type), y.cols, tensor::name_of(y.type));
  }
  for (const std::int32_t i : index) {
    if (i < 0 || i >= x.rows) fail(ErrorCode::internal, "gather: row {} of {}", i, x.rows);
  }
  kernels::cpu::gather_rows(x, index, y);
}

void add_scaled_rows(tensor::MatrixView x, std::span<const std::int32_t> index,
                     std::span<const float> factors, tensor::MatrixView sums,
                     base::ThreadPool& pool) {
  check_size("add scaled rows", "indices", index.size(), x.rows);
  check_size("add scaled rows", "factors", factors.size(), x.rows);
  if (x.cols != sums.cols || sums.type != tensor::DType::f32) {
    fail(ErrorCode::internal, "add scaled rows: {} columns onto {} of {}", x.cols, sums.cols,
         tensor::name_of(sums.type));
  }
  for (const std::int32_t i : index) {
    if (i < 0 || i >= sums.rows) {
      fail(ErrorCode::internal, "add scaled rows: row {} of {}", i, sums.rows);
    }
  }
  kernels::cpu::add_scaled_rows(x, index, factors, sums, pool);
}

}  // namespace assay::ops
