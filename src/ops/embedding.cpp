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

}  // namespace assay::ops
