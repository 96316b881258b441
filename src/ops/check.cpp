#include "ops/check.h"

namespace assay::ops {

void check_same_shape(std::string_view op, const tensor::MatrixView& x,
                      const tensor::MatrixView& y) {
  if (x.rows == y.rows && x.cols == y.cols) return;
  fail(ErrorCode::internal, "{}: shapes [{}, {}] and [{}, {}] differ", op, x.rows, x.cols, y.rows,
       y.cols);
}

void check_size(std::string_view op, std::string_view what, std::size_t size, std::int64_t wanted) {
  if (static_cast<std::int64_t>(size) == wanted) return;
  fail(ErrorCode::internal, "{}: {} {} where {} are needed", op, size, what, wanted);
}

}  // namespace assay::ops
